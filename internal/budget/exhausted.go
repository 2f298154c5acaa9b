package budget

import (
	"fmt"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Exhausted says which budget has no room for a submission.
type Exhausted struct {
	// Budget is the one of spec.budgets, and Namespace whose it is, empty for a budget per Account.
	Budget    v1alpha1.Budget
	Namespace string
	// Used is how much of it is used, and Limit its size.
	Used, Limit int64
	// Until is when its period ends; of several exhausted budgets, the latest.
	Until time.Time
	// Behind is the oldest period on record where the clock shows one before it, and empty otherwise.
	Behind string
	// Older is how many older DaftyJobs wait for what is left of it, 0 where nothing is.
	Older int
}

// String says for the user what is exhausted, and until when.
func (e *Exhausted) String() string {
	whose := "the account"
	if e.Budget.Per == v1alpha1.PerNamespace {
		whose = "namespace " + e.Namespace
	}
	what := fmt.Sprintf("the budget of %s for a %s (%s)", whose, periodWords[e.Budget.Period], e.Budget.TimeZone)
	until := e.Until.UTC().Format(time.RFC3339)
	switch {
	case e.Behind != "":
		return fmt.Sprintf("%s is kept until %s, as the operator's clock is behind the record: status.usage of the DaftyAccount has the period %s "+
			"already. If that was written by a clock that was wrong, delete the entries of later periods", what, until, e.Behind)
	case e.Older > 0:
		return fmt.Sprintf("%d of %d submissions of %s are used, and the rest is for %d older DaftyJobs that wait; its period ends at %s",
			e.Used, e.Limit, what, e.Older, until)
	default:
		return fmt.Sprintf("%d of %d submissions of %s are used; its period ends at %s", e.Used, e.Limit, what, until)
	}
}

var periodWords = map[v1alpha1.BudgetPeriod]string{
	v1alpha1.PeriodDay:   "day",
	v1alpha1.PeriodWeek:  "week",
	v1alpha1.PeriodMonth: "month",
}
