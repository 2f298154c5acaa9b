package controller

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/kstatustest"
)

// anAccount has Ready as given, "" for one that is new.
func anAccount(status metav1.ConditionStatus, reason string) *v1alpha1.DaftyAccount {
	of := &v1alpha1.DaftyAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DaftyAccount"},
		ObjectMeta: metav1.ObjectMeta{Name: "agency", Generation: 2},
		Spec:       v1alpha1.DaftyAccountSpec{APIKeySecretRef: v1alpha1.NamespacedSecretKeyReference{Namespace: "dafty-system", Name: "agency", Key: "apiKey"}},
	}
	if reason != "" {
		meta.SetStatusCondition(&of.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: "so it was", ObservedGeneration: 2})
	}
	return of
}

func TestAccountVerdict(t *testing.T) {
	refused := &dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401, Message: "no such key"}
	away := &dafty.CallError{Kind: dafty.KindUnavailable, Message: "connection refused"}
	answered := func(err *dafty.CallError, failures, refusals int) account.Holding {
		return account.Holding{HasKey: true, Answer: &account.Answer{Err: err, Failures: failures, Refusals: refusals, At: accountNow}}
	}
	accepted := account.Holding{HasKey: true, Answer: &account.Answer{Account: json.RawMessage(`{}`), At: accountNow}}
	for _, tt := range []struct {
		name    string
		in      accountRead
		ready   metav1.ConditionStatus
		reason  string
		says    string
		stalled bool
		// again is when Dafty is asked again.
		again time.Duration
	}{
		{name: "no Secret", in: accountRead{account: anAccount("", ""), problem: `Secret "agency" isn't there`},
			ready: metav1.ConditionUnknown, reason: v1alpha1.ReasonWaitingForCredentials, says: `Secret "agency" isn't there`},
		{name: "not asked yet", in: accountRead{account: anAccount("", ""), holding: account.Holding{HasKey: true}},
			ready: metav1.ConditionUnknown, reason: v1alpha1.ReasonChecking, says: "asking Dafty"},
		{name: "not asked yet by this process, and accepted before", in: accountRead{account: anAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted), holding: account.Holding{HasKey: true}},
			ready: metav1.ConditionTrue, reason: v1alpha1.ReasonAccepted, says: "so it was", again: share("", startSpread)},
		{name: "another key, which wasn't asked about yet", in: accountRead{account: anAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted), holding: account.Holding{HasKey: true, Changed: true}},
			ready: metav1.ConditionUnknown, reason: v1alpha1.ReasonChecking},
		{name: "accepted", in: accountRead{account: anAccount("", ""), holding: accepted},
			ready: metav1.ConditionTrue, reason: v1alpha1.ReasonAccepted, again: checkEvery - share("", checkSpread)},
		{name: "a Secret that can't be read for a while", in: accountRead{account: anAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted), problem: "it can't be read", holding: accepted},
			ready: metav1.ConditionTrue, reason: v1alpha1.ReasonAccepted, again: checkEvery - share("", checkSpread)},
		{name: "refused once, at first", in: accountRead{account: anAccount("", ""), holding: answered(refused, 1, 1)},
			ready: metav1.ConditionUnknown, reason: v1alpha1.ReasonAPIUnavailable, says: "it is asked again", again: 5 * time.Second},
		{name: "refused once, after it was accepted", in: accountRead{account: anAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted), holding: answered(refused, 1, 1)},
			ready: metav1.ConditionTrue, reason: v1alpha1.ReasonAccepted, says: "so it was", again: 5 * time.Second},
		{name: "refused twice", in: accountRead{account: anAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted), holding: answered(refused, 2, 2)},
			ready: metav1.ConditionFalse, reason: v1alpha1.ReasonCredentialsRejected, says: `key "apiKey" of Secret "agency" of namespace "dafty-system"`, stalled: true, again: 10 * time.Second},
		{name: "Dafty is away, and the key was refused", in: accountRead{account: anAccount(metav1.ConditionFalse, v1alpha1.ReasonCredentialsRejected), holding: answered(away, 1, 0)},
			ready: metav1.ConditionFalse, reason: v1alpha1.ReasonCredentialsRejected, says: "so it was", stalled: true, again: 5 * time.Second},
		{name: "Dafty is away for long", in: accountRead{account: anAccount(metav1.ConditionUnknown, v1alpha1.ReasonChecking), holding: answered(away, 9, 0)},
			ready: metav1.ConditionUnknown, reason: v1alpha1.ReasonAPIUnavailable, says: "connection refused", again: 5 * time.Minute},
		{name: "Dafty is away for long, and the key was accepted", in: accountRead{account: anAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted), holding: answered(away, 9, 0)},
			ready: metav1.ConditionTrue, reason: v1alpha1.ReasonAccepted, again: 5 * time.Minute},
		{name: "asked to wait", in: accountRead{account: anAccount("", ""), holding: answered(&dafty.CallError{Kind: dafty.KindRateLimit, RetryAfter: 40 * time.Second}, 1, 0)},
			ready: metav1.ConditionUnknown, reason: v1alpha1.ReasonAPIUnavailable, again: 40 * time.Second},
		{name: "a spec that can't be meant", in: accountRead{account: anAccount("", ""), holding: accepted, invalid: "there is no such time zone"},
			ready: metav1.ConditionFalse, reason: v1alpha1.ReasonInvalidAccount, says: "no such time zone", stalled: true, again: checkEvery - share("", checkSpread)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.first, tt.in.now = accountNow, accountNow
			status := tt.in.account.Status.DeepCopy()
			tt.in.write(status)
			ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
			if ready.Status != tt.ready || ready.Reason != tt.reason || !strings.Contains(ready.Message, tt.says) || ready.ObservedGeneration != 2 {
				t.Errorf("Ready is %+v", ready)
			}
			if is := meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionStalled); is != tt.stalled {
				t.Errorf("Stalled: %t", is)
			}
			if is := meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReconciling); is != (tt.ready == metav1.ConditionUnknown) {
				t.Errorf("Reconciling: %t", is)
			}
			if got := tt.in.checkIn(); got != tt.again {
				t.Errorf("asked again in %s, want %s", got, tt.again)
			}
			tt.in.account.Status = *status
			if problem := kstatustest.AccountProblem(tt.in.account); problem != "" {
				t.Error(problem)
			}
			again := status.DeepCopy()
			tt.in.now = tt.in.now.Add(time.Minute)
			tt.in.write(again)
			if len(again.Conditions) != len(status.Conditions) || again.Conditions[0] != status.Conditions[0] {
				t.Errorf("the same news again: %+v, %+v", status.Conditions, again.Conditions)
			}
		})
	}
}

// What Dafty says of the account is told as the API server keeps it, so that the same is no news, and not where it is very large.
func TestAccountObject(t *testing.T) {
	for _, tt := range []struct{ name, raw, want string }{
		{"as it came", `{"plan": {"name": "team", "seats": 3}, "new": [1, null]}`, `{"new":[1,null],"plan":{"name":"team","seats":3}}`},
		{"in another order", `{"new": [1, null], "plan": {"seats": 3, "name": "team"}}`, `{"new":[1,null],"plan":{"name":"team","seats":3}}`},
		{"nulls", `{"plan": {"renewsAt": null, "add-ons": [{"until": null, "seats": 12345678901234567}]}, "coupon": null}`, `{"plan":{"add-ons":[{"seats":12345678901234567}]}}`},
		{"empty", `{}`, `{}`},
		{"very large", `{"a":"` + strings.Repeat("x", maxAccountObject) + `"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if object := accountObject(json.RawMessage(tt.raw)); object != nil {
				got = string(object.Raw)
			}
			if got != tt.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// What is known beside the key.
func TestAccountStatus(t *testing.T) {
	left := 7
	in := accountRead{account: anAccount("", ""), inFlight: 2, waiting: 3, now: accountNow, holding: account.Holding{
		HasKey:  true,
		Credits: &ratelimit.Credits{Refusal: &dafty.CallError{Kind: dafty.KindInsufficientCredits, Message: "buy some"}},
		Minutes: map[dafty.Class]ratelimit.Minute{
			dafty.ClassVideoCreate: {Limit: 5},
			dafty.ClassImageCreate: {Limit: 20, Remaining: &left, ResetsAt: accountNow.Add(30*time.Second + 400*time.Millisecond)},
		},
		Unfollowed: []dafty.ListedJob{{ID: "a", Type: "image.generate", CreatedAt: accountNow}, {ID: "b"}},
	}}
	status := &v1alpha1.DaftyAccountStatus{}
	in.write(status)
	credits := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionCreditsAvailable)
	if credits == nil || credits.Status != metav1.ConditionFalse || credits.Reason != v1alpha1.ReasonInsufficientCredits || !strings.Contains(credits.Message, "buy some") {
		t.Errorf("credits: %+v", credits)
	}
	status.Conditions = nil
	raw, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"observedGeneration":2,"limits":[{"class":"image_create","perMinute":20,"remaining":7,"resetsAt":"2026-03-01T09:00:30Z"},{"class":"video_create","perMinute":5}],` +
		`"inFlight":2,"waiting":3,"unfollowed":[{"jobID":"a","type":"image.generate","createdAt":"2026-03-01T09:00:00Z"},{"jobID":"b"}]}`
	if string(raw) != want {
		t.Errorf("got\n%s, want\n%s", raw, want)
	}
	in.holding.Credits = &ratelimit.Credits{At: accountNow}
	in.write(status)
	if !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionCreditsAvailable) {
		t.Error("credits are there again")
	}
	in.holding.Credits = nil
	in.write(status)
	if !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionCreditsAvailable) {
		t.Error("a process that has begun anew knows no better")
	}
}
