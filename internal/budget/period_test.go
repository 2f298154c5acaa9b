package budget

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

func TestPeriod(t *testing.T) {
	for _, tt := range []struct {
		name   string
		period v1alpha1.BudgetPeriod
		zone   string
		now    string
		first  string
		end    string
	}{
		{"a day", v1alpha1.PeriodDay, "Etc/UTC", "2026-12-03T15:04:05Z", "2026-12-03", "2026-12-04T00:00:00Z"},
		{"its first instant", v1alpha1.PeriodDay, "Etc/UTC", "2026-12-03T00:00:00Z", "2026-12-03", "2026-12-04T00:00:00Z"},
		{"its last", v1alpha1.PeriodDay, "Etc/UTC", "2026-12-03T23:59:59.999999999Z", "2026-12-03", "2026-12-04T00:00:00Z"},
		{"a day elsewhere", v1alpha1.PeriodDay, "Asia/Tokyo", "2026-12-03T15:04:05Z", "2026-12-04", "2026-12-04T15:00:00Z"},
		{"a week, on Monday", v1alpha1.PeriodWeek, "Etc/UTC", "2026-11-30T00:00:00Z", "2026-11-30", "2026-12-07T00:00:00Z"},
		{"a week, on Sunday", v1alpha1.PeriodWeek, "Etc/UTC", "2026-12-06T23:59:59Z", "2026-11-30", "2026-12-07T00:00:00Z"},
		{"a week over the end of a year", v1alpha1.PeriodWeek, "Etc/UTC", "2027-01-01T12:00:00Z", "2026-12-28", "2027-01-04T00:00:00Z"},
		{"a month", v1alpha1.PeriodMonth, "Europe/Berlin", "2026-12-31T23:30:00Z", "2027-01-01", "2027-01-31T23:00:00Z"},
		{"February", v1alpha1.PeriodMonth, "Etc/UTC", "2028-02-29T12:00:00Z", "2028-02-01", "2028-03-01T00:00:00Z"},
		{"a day of 23 hours", v1alpha1.PeriodDay, "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29", "2026-03-29T22:00:00Z"},
		{"a day of 25 hours", v1alpha1.PeriodDay, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25", "2026-10-25T23:00:00Z"},
		{"before a day without a midnight", v1alpha1.PeriodDay, "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-03", "2018-11-04T03:00:00Z"},
		{"a day without a midnight", v1alpha1.PeriodDay, "America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04", "2018-11-05T02:00:00Z"},
		{"before a day whose midnight comes twice", v1alpha1.PeriodDay, "America/St_Johns", "2010-11-06T12:00:00Z", "2010-11-06", "2010-11-07T02:30:00Z"},
		{"the hour after the first of them", v1alpha1.PeriodDay, "America/St_Johns", "2010-11-07T02:31:00Z", "2010-11-06", "2010-11-07T03:30:00Z"},
		{"before a day that isn't", v1alpha1.PeriodDay, "Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29", "2011-12-30T10:00:00Z"},
		{"after a day that isn't", v1alpha1.PeriodDay, "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31", "2011-12-31T10:00:00Z"},
		{"a week with a day that isn't", v1alpha1.PeriodWeek, "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-26", "2012-01-01T10:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, end, err := Period(&v1alpha1.Budget{Per: v1alpha1.PerAccount, Period: tt.period, TimeZone: tt.zone}, at(tt.now))
			if err != nil {
				t.Fatal(err)
			}
			if got := end.UTC().Format(time.RFC3339); first != tt.first || got != tt.end {
				t.Errorf("%s until %s, not %s until %s", first, got, tt.first, tt.end)
			}
		})
	}
}

func at(when string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, when)
	if err != nil {
		panic(err)
	}
	return t
}

func TestPeriodsThatAreUnknown(t *testing.T) {
	for name, tt := range map[string]struct {
		budget v1alpha1.Budget
		says   string
	}{
		"no such time zone":     {v1alpha1.Budget{Per: v1alpha1.PerAccount, Period: v1alpha1.PeriodDay, TimeZone: "Europe/Atlantis"}, `there is no time zone "Europe/Atlantis"`},
		"the machine's own":     {v1alpha1.Budget{Per: v1alpha1.PerAccount, Period: v1alpha1.PeriodDay, TimeZone: "Local"}, `there is no time zone "Local"`},
		"a file of the machine": {v1alpha1.Budget{Per: v1alpha1.PerAccount, Period: v1alpha1.PeriodDay, TimeZone: "../../etc/passwd"}, `there is no time zone`},
		"no such period":        {v1alpha1.Budget{Per: v1alpha1.PerAccount, Period: "Year", TimeZone: "Etc/UTC"}, "upgrade the operator"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Period(&tt.budget, at("2026-12-03T15:04:05Z"))
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), tt.budget.Key()) {
				t.Errorf("says %v", err)
			}
		})
	}
}

var zones = []string{"Etc/UTC", "Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati",
	"Australia/Lord_Howe", "Africa/Casablanca", "Asia/Manila"}

var periods = []v1alpha1.BudgetPeriod{v1alpha1.PeriodDay, v1alpha1.PeriodWeek, v1alpha1.PeriodMonth}

// A period ends later than any time in it, what begins then is another one and a later one, and the moment before is in an earlier one than that.
func TestPeriodsFollowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &v1alpha1.Budget{Per: v1alpha1.PerAccount, Period: rapid.SampledFrom(periods).Draw(t, "period"), TimeZone: rapid.SampledFrom(zones).Draw(t, "zone")}
		now := time.Unix(rapid.Int64Range(-3e9, 6e9).Draw(t, "now"), rapid.Int64Range(0, 999999999).Draw(t, "ns"))
		first, end, err := Period(b, now)
		if err != nil {
			t.Fatal(err)
		}
		next, nextEnd, _ := Period(b, end)
		last, _, _ := Period(b, end.Add(-1))
		if !end.After(now) || next <= first || !nextEnd.After(end) || last >= next {
			t.Errorf("%s of %s ends %s; the moment before is in %s, and then comes %s until %s", first, now, end, last, next, nextEnd)
		}
	})
}
