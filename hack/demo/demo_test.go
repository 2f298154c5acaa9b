package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/operatortest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

func TestDemoEndsByItself(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	out := &operatortest.Log{}
	if err := run(t.Context(), &screen{out: out, errOut: os.Stderr}); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`(?m)^\$ kubectl apply -f config/samples/secret.yaml$`,
		`(?m)^\$ kubectl apply -k config/samples$`,
		`(?m)^daftyjob.dafty.ai/spring-hero created$`,
		`(?m)^\$ kubectl apply -k config/samples/campaign$`,
		`(?m)^\[ *[0-9.]+s\] launch-hero +image.generate +Pending +WaitingForDependency .*launch-style`,
		`(?m)^\$ kubectl get configmap launch-clip -o 'jsonpath={.data.video_url}'\nhttp://127.0.0.1:`,
		`(?m)^\$ kubectl patch daftyjob autumn-clip --type merge -p '{"spec":{"desiredState":"Cancelled"}}'$`,
		`(?m)^\$ kubectl delete daftyjob winter-draft$`,
		`(?m)^daftyjob.dafty.ai/spring-hero condition met$`,
		`(?m)^NAME +TYPE +PHASE +REASON +AGE$`,
		`(?m)^\[ *[0-9.]+s\] summer-hero +image.generate +Pending +Suspended `,
		`(?m)^\[ *[0-9.]+s\] winter-draft +video.generate +Deleted `,
		`(?m)^competitor-parody +image.generate +Failed +GenerationFailed +\w+$`,
		`(?m)^spring-hero +2 CU +\w+ +pictures/spring-hero-0.png$`,
		`(?m)^launch-poster +1 CU +\w+ +pictures/launch-poster.png$`,
		`(?m)^autumn-clip +1 CU +\w+ +cancelled$`,
		`(?m)^\$ kubectl apply -k config/samples/campaign-assets$`,
		`(?m)^\$ kubectl patch daftyasset shop-style --type merge -p '{"spec":.*new-brand"}}}}}'$`,
		`(?m)^NAME +CREATED +CHANGED +REVERTED$`,
		`(?m)^shop-hero +1 CU +1 CU +0 CU$`,
		`(?m)^shop-clip +10 CU +10 CU +0 CU$`,
		`(?m)^shop-poster +True +Completed +shop-poster-[0-9a-f]{10} +\w+$`,
		`(?m)^Two namespaces share one API key, whose Secret is in a third, and a budget of 2 submissions:$`,
		`(?m)^\$ kubectl create namespace dafty-operator-system$`,
		`(?m)^\$ kubectl apply -k config/samples/accounts$`,
		`(?m)^daftyaccount.dafty.ai/agency created$`,
		`(?m)^\[ *[0-9.]+s\] agency-blog/front-page-[0-9a-f]{10} +image.generate +Completed `,
		`(?m)^\[ *[0-9.]+s\] agency-shop/poster +image.generate +Pending +BudgetExhausted +DaftyAccount "agency": 2 of 2 submissions of the budget of the account for a month \(Europe/Berlin\) are used`,
		`(?m)^NAME +READY +REASON +SUSPENDED +IN-FLIGHT +WAITING +AGE\nagency +True +Accepted +false +0 +1 +\w+$`,
		`(?m)^poster +image.generate +Pending +BudgetExhausted +\w+$`,
		`(?m)^DaftyAccount "agency": 2 of 2 submissions .* are used; its period ends at .*; the job goes on by itself when there is room$`,
		`(?m)^\$ kubectl patch daftyaccount agency --type json -p '.*/spec/budgets/1/submissions","value":2000}]'$`,
		`(?m)^daftyjob.dafty.ai/poster condition met$`,
		`(?m)^NAME +BUDGET OF 2 +BUDGET OF 2000$`,
		`(?m)^agency-blog/front-page +1 CU +0 CU$`,
		`(?m)^agency-shop/hero +1 CU +0 CU$`,
		`(?m)^agency-shop/poster +0 CU +1 CU$`,
		`27 jobs in .*, each charged once: 96 CU; a revert of a change: 0 CU; 2 cancels: 20 CU given back, 2 CU charged; nothing still runs at Dafty`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the output lacks %s", want)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("there are control sequences in the output, which goes to no terminal")
	}
	wantKept(t, tmp, "logs/dafty.log", "logs/etcd.log", "logs/kube-apiserver.log", "logs/kube-controller-manager.log", "logs/operator.log",
		"pictures/agency-blog-front-page-HASH.png", "pictures/agency-shop-hero.png", "pictures/agency-shop-poster.png",
		"pictures/launch-clip.gif", "pictures/launch-hero-0.png", "pictures/launch-hero-1.png", "pictures/launch-poster.png",
		"pictures/shop-clip-HASH.gif", "pictures/shop-clip-HASH.gif", "pictures/shop-hero-HASH.png", "pictures/shop-hero-HASH.png",
		"pictures/shop-poster-HASH.png", "pictures/shop-poster-HASH.png",
		"pictures/spring-banner.png", "pictures/spring-hero-0.png", "pictures/spring-hero-1.png", "pictures/spring-hero-shoe.png",
		"pictures/spring-opener.gif", "pictures/spring-shop-window.png", "pictures/spring-teaser.gif", "pictures/spring-tote.png", "pictures/summer-hero.png")
	if t.Failed() {
		t.Log(out)
	}
}

func TestInterruptedDemoLeavesNothing(t *testing.T) {
	for what, sight := range map[string]string{"at the beginning": "Dafty:", "while jobs run": "Processing"} {
		t.Run(what, func(t *testing.T) {
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			ctx, cancel := context.WithCancel(t.Context())
			out := &operatortest.Log{}
			go func() {
				for !strings.Contains(out.String(), sight) && ctx.Err() == nil {
					time.Sleep(20 * time.Millisecond)
				}
				cancel()
			}()
			err := run(ctx, &screen{out: out, errOut: os.Stderr})
			cancel()
			if !errors.Is(err, errInterrupted) {
				t.Errorf("error %v\n%s", err, out)
			}
			if left, err := filepath.Glob(filepath.Join(tmp, "dafty-kubetest-*")); err != nil || len(left) > 0 {
				t.Errorf("left: %s %v", left, err)
			}
			if left, err := filepath.Glob(filepath.Join(tmp, "dafty-demo-*", "*", "manager")); err != nil || len(left) > 0 {
				t.Errorf("left: %s %v", left, err)
			}
		})
	}
}

func TestEndingsTellWhatIsWrong(t *testing.T) {
	job := func(phase v1alpha1.Phase, reason string) jobState {
		j := &v1alpha1.DaftyJob{}
		j.Status.Phase = phase
		j.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: reason, Message: "told"}}
		return jobState{DaftyJob: j}
	}
	charged := daftysim.Entry{JobID: "7", Status: daftysim.StatusCompleted}
	running := daftysim.Entry{JobID: "7", Status: daftysim.StatusProcessing}
	for name, c := range map[string]struct {
		ending  expectation
		job     jobState
		entries []daftysim.Entry
		want    string // "": nothing
	}{
		"as it should be": {completed(0), job(v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted), []daftysim.Entry{charged}, ""},
		"another phase":   {completed(0), job(v1alpha1.PhasePending, "Suspended"), []daftysim.Entry{charged}, "it is Pending, Suspended: told; it should be Completed, Completed"},
		"no picture":      {completed(1), job(v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted), []daftysim.Entry{charged}, "it made 0 pictures, not 1"},
		"paid twice":      {completed(0), job(v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted), []daftysim.Entry{charged, charged}, "Dafty made 2 jobs for it, and each was paid for; there should be 1"},
		"left running":    {completed(0), job(v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted), []daftysim.Entry{running}, "job 7 still runs at Dafty"},
		"not cancelled": {expectation{phase: v1alpha1.PhaseCancelled, reason: v1alpha1.ReasonCancelled, cancelled: true},
			job(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled), []daftysim.Entry{charged}, "job 7 ended at Dafty with cancelled=false; it should be true"},
		"still there": {expectation{deleted: true}, job(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled), []daftysim.Entry{charged}, "it is Cancelled, Cancelled: told; it should be deleted"},
		"never there": {completed(0), jobState{}, nil, "it was never there"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(c.ending.problems(c.job, c.entries), "\n"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestStagesTellWhatIsWrong(t *testing.T) {
	jobs := map[string]jobState{}
	for _, name := range []string{"hero", "poster"} {
		job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)}}
		jobs[name] = jobState{DaftyJob: job}
	}
	entry := func(name, status string) daftysim.Entry {
		return daftysim.Entry{JobID: "of-" + name, IdempotencyKey: name + "-1", Status: status, Charge: 1}
	}
	hero, poster := entry("hero", daftysim.StatusCompleted), entry("poster", daftysim.StatusCompleted)
	for name, c := range map[string]struct {
		within, raised []daftysim.Entry // the ledger at the end of each stage
		want           string
		charged        int
	}{
		"as it should be": {[]daftysim.Entry{hero}, []daftysim.Entry{hero, poster}, "", 2},
		"beyond the budget": {[]daftysim.Entry{hero, poster}, []daftysim.Entry{hero, poster}, "poster: when it was within, Dafty made 1 jobs for it; there should be 0\n" +
			"poster: when it was raised, Dafty made 0 jobs for it; there should be 1", 2},
		"it doesn't go on": {[]daftysim.Entry{hero}, []daftysim.Entry{hero}, "poster: when it was raised, Dafty made 0 jobs for it; there should be 1", 1},
		"left running": {[]daftysim.Entry{hero}, []daftysim.Entry{hero, entry("poster", daftysim.StatusProcessing)},
			"poster: job of-poster hasn't completed at Dafty", 2},
		"ends later": {[]daftysim.Entry{entry("hero", daftysim.StatusProcessing)}, []daftysim.Entry{hero, poster}, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stages{of: func(job jobState) string { return job.Name }}
			s.end("WITHIN", map[string]int{"hero": 1, "poster": 0}, jobs, c.within)
			s.end("RAISED", map[string]int{"hero": 0, "poster": 1}, jobs, c.raised)
			found, charged := s.problems(c.raised)
			if got := strings.Join(found, "\n"); got != c.want || charged != c.charged {
				t.Errorf("got %q and %d jobs, want %q and %d", got, charged, c.want, c.charged)
			}
		})
	}
}

func TestCommandsAreTypedAsInAShell(t *testing.T) {
	if got, want := shellQuoted([]string{"apply", "-k", "config/samples", "-p", `{"a":1}`, "it's", ""}), `apply -k config/samples -p '{"a":1}' 'it'\''s' ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A sample without an expectation, and an expectation without a sample, are refused.
func TestEverySampleHasAnEnding(t *testing.T) {
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	all, err := readSamples(root)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := readSharing(root)
	if err != nil {
		t.Fatal(err)
	}
	if key := shared.apiKey(); key == "" || key == all.apiKey {
		t.Errorf("the API key of the DaftyAccount, %q, isn't its own: its jobs would use up the calls of the others", key)
	}
	account := all.account()
	if len(account.Images) == 0 || len(account.Styles) == 0 || all.apiKey == "" {
		t.Errorf("Dafty's account %+v lacks what the samples need", account)
	}
}

// ofRequest is the hash in the name of a DaftyJob of a DaftyAsset.
var ofRequest = regexp.MustCompile(`-[0-9a-f]{10}\.`)

// wantKept checks that the demo has left one folder with only these files.
func wantKept(t *testing.T, tmp string, want ...string) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(tmp, "dafty-demo-*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("folders of the demo: %q %v", folders, err)
	}
	var got []string
	err = fs.WalkDir(os.DirFS(folders[0]), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			got = append(got, ofRequest.ReplaceAllString(path, "-HASH."))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("kept:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
