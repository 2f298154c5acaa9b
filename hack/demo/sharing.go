package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// The samples of a DaftyAccount: two namespaces use its API key, and use up its budget; then there is one more. The demo raises the budget.
const (
	accountsPath = samplesPath + "/accounts"
	oneMorePath  = accountsPath + "/one-more/poster.yaml"
	raisedTo     = 2000
)

// sharing has what the samples of a DaftyAccount are.
type sharing struct {
	secret  corev1.Secret
	account v1alpha1.DaftyAccount
	// ends is which of the budgets is used up.
	ends int
	// within are the DaftyJobs and DaftyAssets that there is room for, and beyond is the DaftyJob that there is none for.
	within []string
	beyond v1alpha1.DaftyJob
	stages stages
}

func readSharing(root string) (*sharing, error) {
	dir := filepath.Join(root, accountsPath)
	files, err := resources(dir)
	if err != nil {
		return nil, err
	}
	s := &sharing{}
	s.stages.of = s.nameOf
	for _, file := range files {
		var object metav1.PartialObjectMetadata
		if err := readYAML(file, &object); err != nil {
			return nil, err
		}
		switch object.Kind {
		case "DaftyJob", "DaftyAsset":
			s.within = append(s.within, nameOf(&object))
		case "DaftyAccount":
			if err := readYAML(file, &s.account); err != nil {
				return nil, err
			}
		}
	}
	for i, b := range s.account.Spec.Budgets {
		if *b.Submissions < *s.account.Spec.Budgets[s.ends].Submissions {
			s.ends = i
		}
	}
	if len(s.account.Spec.Budgets) == 0 || s.size() != int64(len(s.within)) {
		return nil, fmt.Errorf("%s: the smallest budget should have room for just %q", accountsPath, s.within)
	}
	if err := readYAML(filepath.Join(root, oneMorePath), &s.beyond); err != nil {
		return nil, err
	}
	return s, readYAML(filepath.Join(dir, "secret.yaml"), &s.secret)
}

// size is that of the budget that ends.
func (s *sharing) size() int64 { return *s.account.Spec.Budgets[s.ends].Submissions }

// names returns all that is submitted with the account.
func (s *sharing) names() []string { return append(slices.Clone(s.within), nameOf(&s.beyond)) }

func (s *sharing) apiKey() string { return s.secret.StringData[v1alpha1.DefaultSecretKey] }

// payer returns the account at Dafty.
func (s *sharing) payer() daftysim.Account {
	return daftysim.Account{Name: s.account.Name, APIKeys: []string{s.apiKey()}}
}

// playSharing applies the samples of a DaftyAccount, with what is beyond its budget once that is used up.
func (e *environment) playSharing(ctx context.Context) error {
	e.screen.print("", fmt.Sprintf("Two namespaces share one API key, whose Secret is in a third, and a budget of %d submissions:", e.sharing.size()))
	for _, args := range [][]string{
		{"create", "namespace", e.sharing.secret.Namespace},
		{"apply", "-f", accountsPath + "/secret.yaml"},
		{"apply", "-k", accountsPath},
	} {
		if err := e.kubectl(ctx, args...); err != nil {
			return err
		}
	}
	if err := e.jobs.await(ctx, e.usedUp); err != nil {
		return err
	}
	e.screen.print("", "The budget is used up. One more is applied, and waits:")
	return e.kubectl(ctx, "apply", "-f", oneMorePath)
}

// usedUp reports whether all is submitted that the budget has room for.
func (e *environment) usedUp(jobs map[string]jobState) bool {
	submitted := 0
	for _, job := range jobs {
		if slices.Contains(e.sharing.within, e.sharing.nameOf(job)) && job.Status.JobID != "" {
			submitted++
		}
	}
	return submitted == len(e.sharing.within)
}

// nameOf returns the DaftyJob or DaftyAsset of the samples that a job is made for.
func (s *sharing) nameOf(job jobState) string {
	name := job.Name
	if of := job.Labels[v1alpha1.AssetLabel]; of != "" {
		name = of
	}
	if name = job.Namespace + "/" + name; slices.Contains(s.names(), name) {
		return name
	}
	return ""
}

// playBudget shows what waits for the budget, and raises it.
func (e *environment) playBudget(ctx context.Context) error {
	s := e.sharing
	account, beyond := s.account.Name, "daftyjob/"+s.beyond.Name
	e.screen.print("", fmt.Sprintf("The budget of %d that two namespaces share is used up. What is beyond it waits, and costs nothing:", s.size()))
	for _, args := range [][]string{
		{"wait", "--for=jsonpath={.status.waiting}=1", "daftyaccount/" + account, "--timeout=1m"},
		{"get", "daftyaccounts"},
		{"get", "daftyjobs", "--namespace", s.beyond.Namespace},
		{"get", beyond, "--namespace", s.beyond.Namespace, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].message}`},
	} {
		if err := e.kubectl(ctx, args...); err != nil {
			return err
		}
	}
	e.endBudgetStage(s.size(), 1, 0)
	e.screen.print("", "The budget is raised. What waited goes on by itself:")
	raise := fmt.Sprintf(`[{"op":"replace","path":"/spec/budgets/%d/submissions","value":%d}]`, s.ends, raisedTo)
	for _, args := range [][]string{
		{"patch", "daftyaccount", account, "--type", "json", "-p", raise},
		{"wait", "--for=condition=Complete", beyond, "--namespace", s.beyond.Namespace, "--timeout=1m"},
	} {
		if err := e.kubectl(ctx, args...); err != nil {
			return err
		}
	}
	e.endBudgetStage(raisedTo, 0, 1)
	return nil
}

// endBudgetStage puts down what was made while the budget had a size, with how many jobs each is to be made by: what there was room for, and
// what is beyond that.
func (e *environment) endBudgetStage(size int64, within, beyond int) {
	jobs := map[string]int{nameOf(&e.sharing.beyond): beyond}
	for _, name := range e.sharing.within {
		jobs[name] = within
	}
	e.sharing.stages.end(fmt.Sprintf("BUDGET OF %d", size), jobs, e.jobs.all(), e.sim.Ledger())
}

func nameOf(object metav1.Object) string { return object.GetNamespace() + "/" + object.GetName() }
