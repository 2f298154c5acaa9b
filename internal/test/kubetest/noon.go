package kubetest

import (
	"fmt"
	"time"
)

// TimeZoneAtNoon returns a time zone in which it is between 12 and 13 o'clock: no day, and so no week and no month, ends there while a test runs.
func TimeZoneAtNoon() string { return timeZoneAtNoon(time.Now()) }

func timeZoneAtNoon(now time.Time) string {
	// What POSIX counts west of Greenwich, these names do too.
	return fmt.Sprintf("Etc/GMT%+d", now.UTC().Hour()-12)
}
