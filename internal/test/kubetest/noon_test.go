package kubetest

import (
	"testing"
	"time"
)

func TestTimeZoneAtNoonAtEachHour(t *testing.T) {
	for hour := range 24 {
		at := time.Date(2026, 12, 31, hour, 59, 59, 0, time.UTC)
		zone, err := time.LoadLocation(timeZoneAtNoon(at))
		if err != nil {
			t.Fatal(err)
		}
		if is := at.In(zone); is.Hour() != 12 {
			t.Errorf("at %s, it is %s in %s", at, is, zone)
		}
	}
}
