//go:build e2e

package argocd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/internal/test/e2e"
)

// The Applications. Each has a folder in Git, a namespace and an account at Dafty of its name.
const (
	campaign = "campaign" // the documentation's
	early    = "early"    // there before the health check is, and deleted in the end
	cancels  = "cancels"
	stated   = "stated" // its manifests say what state is desired
	fails    = "fails"
	pruned   = "pruned"
	again    = "again"
	fleeting = "fleeting" // has a time to live
	waves    = "waves"    // its first wave waits
	ended    = "ended"    // so does its, until its sync is terminated
	server   = "server"   // applied and compared by the API server
)

// The Applications with DaftyAssets.
const (
	shop       = "shop"
	shopServer = "shop-server" // applied and compared by the API server
	brand      = "brand"       // a campaign of DaftyAssets
	approvals  = "approvals"
	reborn     = "reborn" // deleted and created again
)

var ofAssets = []string{shop, shopServer, brand, approvals, reborn}

// These have a wrong API key at first, so their sync fails. They differ in what starts the next sync.
const (
	synced      = "synced"
	recommitted = "recommitted"
	retried     = "retried"
)

var rejected = []string{synced, recommitted, retried}

var applications = slices.Concat([]string{campaign, early, cancels, stated, fails, pruned, again, fleeting, server, waves, ended}, rejected, ofAssets)

// application has the fields of an Application that the tests check.
type application struct {
	Status struct {
		Sync       struct{ Status, Revision string }
		Health     struct{ Status string }
		Conditions []struct{ Type, Message string }
		History    []struct{ ID int64 }
		// OperationState is the state of the last sync, or of the current one.
		OperationState *struct {
			Phase, Message, StartedAt, FinishedAt string
			SyncResult                            struct {
				Revision  string
				Resources []struct{ Kind, Name, Message string }
			}
		}
	}
}

func (e *env) application(name string) (application, error) {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("argoproj.io/v1alpha1")
	object.SetKind("Application")
	if err := e.Client.Get(e.Context(), client.ObjectKey{Namespace: argoNamespace, Name: name}, object); err != nil {
		return application{}, err
	}
	content, err := object.MarshalJSON()
	if err != nil {
		return application{}, err
	}
	var app application
	return app, json.Unmarshal(content, &app)
}

// create creates an Application: the documentation's, with another name, repository, folder and namespace, and with a
// change.
func (e *env) create(manifest, name string, change ...func(*unstructured.Unstructured)) {
	e.Helper()
	app := map[string]any{}
	if err := yaml.Unmarshal([]byte(manifest), &app); err != nil {
		e.Fatal(err)
	}
	for _, set := range []struct {
		value string
		path  []string
	}{
		{name, []string{"metadata", "name"}},
		{e.Repo.URL(), []string{"spec", "source", "repoURL"}},
		{name, []string{"spec", "source", "path"}},
		{name, []string{"spec", "destination", "namespace"}},
	} {
		if _, found, _ := unstructured.NestedString(app, set.path...); !found {
			e.Fatalf("the Application of the documentation has no %s", strings.Join(set.path, "."))
		}
		if err := unstructured.SetNestedField(app, set.value, set.path...); err != nil {
			e.Fatal(err)
		}
	}
	object := &unstructured.Unstructured{Object: app}
	for _, change := range change {
		change(object)
	}
	if err := e.Client.Create(e.Context(), object); err != nil {
		e.Fatalf("creating the Application %s: %v", name, err)
	}
}

// serverSide has the API server apply the manifests and compute the differences.
func serverSide(app *unstructured.Unstructured) {
	app.SetAnnotations(map[string]string{"argocd.argoproj.io/compare-options": "ServerSideDiff=true"})
	options := []string{"spec", "syncPolicy", "syncOptions"}
	before, _, _ := unstructured.NestedStringSlice(app.Object, options...)
	_ = unstructured.SetNestedStringSlice(app.Object, append(before, "ServerSideApply=true"), options...)
}

// tries sets an Application's number of retries, with 2 s between them.
func tries(limit int64) func(*unstructured.Unstructured) {
	return func(app *unstructured.Unstructured) {
		retry := map[string]any{"limit": limit, "backoff": map[string]any{"duration": "2s", "factor": int64(1), "maxDuration": "2s"}}
		_ = unstructured.SetNestedMap(app.Object, retry, "spec", "syncPolicy", "retry")
	}
}

// refresh has Argo CD read Git, as a webhook does, and returns once it has.
func (e *env) refresh(name, how string) {
	e.Helper()
	e.Kubectl("annotate", "application", name, "--namespace", argoNamespace, "--overwrite", "argocd.argoproj.io/refresh="+how)
	e.Eventually("a refresh of "+name, func(g Gomega) {
		annotation := e.Kubectl("get", "application", name, "--namespace", argoNamespace, "--output",
			`jsonpath={.metadata.annotations.argocd\.argoproj\.io/refresh}`)
		g.Expect(annotation).To(BeEmpty())
	})
}

// push commits what was written, and refreshes the Application.
func (e *env) push(name, message string) string {
	e.Helper()
	revision := e.Repo.Commit(message)
	e.refresh(name, "normal")
	return revision
}

// waitForStatus waits until an Application has this status. revision may be empty.
func (e *env) waitForStatus(name, sync, health, revision string) {
	e.Helper()
	e.Eventually(fmt.Sprintf("%s is %s and %s", name, sync, health), func(g Gomega) {
		app, err := e.application(name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect([]string{app.Status.Sync.Status, app.Status.Health.Status}).To(Equal([]string{sync, health}), "%+v", app.Status)
		if revision != "" {
			g.Expect(app.Status.Sync.Revision).To(Equal(revision))
		}
		if operation := app.Status.OperationState; operation != nil && sync == "Synced" {
			g.Expect(operation.Phase).NotTo(Equal("Running"))
		}
	})
}

// node is an object in Argo CD's resource tree.
type node struct {
	Kind, Name string
	Health     *struct{ Status, Message string }
}

// get asks Argo CD's API.
func (e *env) get(g Gomega, path string, answer any) {
	request, err := http.NewRequestWithContext(e.Context(), http.MethodGet, "http://"+e.argoAddress+"/api/v1/"+path, http.NoBody)
	g.Expect(err).NotTo(HaveOccurred())
	request.Header.Set("Authorization", "Bearer "+e.token())
	got, err := http.DefaultClient.Do(request)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = got.Body.Close() }()
	g.Expect(json.NewDecoder(got.Body).Decode(answer)).To(Succeed())
}

func (e *env) health(g Gomega, app, name string) string {
	var tree struct{ Nodes []node }
	e.get(g, "applications/"+app+"/resource-tree", &tree)
	for _, n := range tree.Nodes {
		if strings.HasPrefix(n.Kind, "Dafty") && n.Name == name && n.Health != nil {
			return strings.TrimSuffix(n.Health.Status+" "+n.Health.Message, " ")
		}
	}
	return ""
}

// token returns the token that argocd login got.
func (e *env) token() string {
	e.Helper()
	var config struct {
		Users []struct {
			Token string `json:"auth-token"`
		}
	}
	if err := yaml.Unmarshal([]byte(e.Read(e.cliConfig())), &config); err != nil || len(config.Users) != 1 {
		e.Fatalf("nobody is logged in: %v", err)
	}
	return config.Users[0].Token
}

// waitForHealth waits until Argo CD shows this health of a DaftyJob or DaftyAsset, and the beginning of its message. A new message without a new health shows at
// the next refresh: Argo CD is set up to ignore changes of a status that don't change the health.
func (e *env) waitForHealth(app, name, health string) {
	e.Helper()
	e.Eventually("the health of "+name, func(g Gomega) {
		e.refresh(app, "normal")
		g.Expect(e.health(g, app, name)).To(HavePrefix(health))
	})
}

// secret returns the manifest of a Secret that is in a wave before all others.
func secret(app string) string {
	return `apiVersion: v1
kind: Secret
metadata:
  name: dafty-credentials
  annotations: {argocd.argoproj.io/sync-wave: "-1"}
stringData:
  apiKey: ` + e2e.APIKey(app) + "\n"
}

// configMap returns the manifest of a ConfigMap in a wave.
func configMap(name, wave string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n  annotations: {argocd.argoproj.io/sync-wave: \"" + wave + "\"}\n"
}

// folder writes an Application's manifests and its Secret, one file for an object.
func (e *env) folder(app string, manifests ...string) {
	e.Helper()
	e.Folder(app, append(manifests, secret(app))...)
}
