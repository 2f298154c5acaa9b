package budget

import (
	"fmt"
	"sync"
	"time"
	_ "time/tzdata" // an image need not have the time zones

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Period returns the first day of the period of a budget that now lies in, as in status.usage, and when the period ends.
func Period(b *v1alpha1.Budget, now time.Time) (first string, end time.Time, err error) {
	zone, err := location(b.TimeZone)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("spec.budgets: budget %s: %w", b.Key(), err)
	}
	today := dayOf(now.In(zone))
	var begin, next time.Time
	switch b.Period {
	case v1alpha1.PeriodDay:
		begin, next = today, today.AddDate(0, 0, 1)
	case v1alpha1.PeriodWeek:
		begin = today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
		next = begin.AddDate(0, 0, 7)
	case v1alpha1.PeriodMonth:
		begin = today.AddDate(0, 0, 1-today.Day())
		next = begin.AddDate(0, 1, 0)
	default:
		return "", time.Time{}, fmt.Errorf("spec.budgets: budget %s: this version of the operator doesn't know its period; upgrade the operator", b.Key())
	}
	return begin.Format(time.DateOnly), firstInstant(next, now.In(zone)), nil
}

// dayOf returns the calendar day of t, as midnight in UTC.
func dayOf(t time.Time) time.Time {
	year, month, day := t.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// firstInstant returns when day begins in the time zone of t, which is before it. Where the day has no midnight, or is no day at
// all, as clocks are put forward, that is the first moment after it.
func firstInstant(day, t time.Time) time.Time {
	for {
		_, offset := t.Zone()
		midnight := day.Add(-time.Duration(offset) * time.Second)
		_, change := t.ZoneBounds()
		switch {
		case change.IsZero() || midnight.Before(change):
			return midnight.In(t.Location())
		case !dayOf(change).Before(day):
			return change
		}
		t = change
	}
}

// locations are those that were loaded, by name.
var locations sync.Map

// location returns a time zone by its name in the IANA database.
func location(name string) (*time.Location, error) {
	if zone, loaded := locations.Load(name); loaded {
		return zone.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("there is no time zone %q; give the name of one in the IANA database, such as Europe/Berlin or Etc/UTC", name)
	}
	locations.Store(name, zone)
	return zone, nil
}
