package simulation

import (
	"encoding/json"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
)

// accountsNamespace holds the Secrets of DaftyAccounts.
const accountsNamespace = "accounts"

var accountResource = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "daftyaccounts"}

// placedNames are the names that DaftyJobs have in histories with DaftyAccounts. An object's name says its namespace, and is in use in
// no other.
var placedNames = []string{"one", "two", "three", "shop.one", "shop.two", "web.one"}

// placedNamespaces are the namespaces of these.
var placedNamespaces = []string{namespace, "shop", "web"}

// namespaceOf returns the namespace of an object.
func (e *env) namespaceOf(name string) string {
	if !e.options.accounts {
		return namespace
	}
	for _, other := range placedNamespaces[1:] {
		if len(name) > len(other) && name[:len(other)+1] == other+"." {
			return other
		}
	}
	return namespace
}

// account returns the newest version of a DaftyAccount, nil if there is none.
func (a *apiServer) account(name string) *v1alpha1.DaftyAccount { return a.accounts[name].object }

// createAccount stores a new DaftyAccount with the CRD's defaults.
func (a *apiServer) createAccount(account *v1alpha1.DaftyAccount) {
	a.created++
	a.accountNames[account.Name] = true
	account.UID = uid(a.created)
	account.Generation = 1
	account.CreationTimestamp = metav1.NewTime(time.Now())
	account.Spec.APIKeySecretRef = v1alpha1.NamespacedSecretKeyReference{Namespace: accountsNamespace, Name: account.Name, Key: v1alpha1.DefaultSecretKey}
	account.Status = v1alpha1.DaftyAccountStatus{ObservedGeneration: -1}
	a.storeAccount(account)
}

// changeAccount edits the spec of a DaftyAccount as a user does.
func (a *apiServer) changeAccount(name string, edit func(*v1alpha1.DaftyAccountSpec)) {
	account := a.account(name).DeepCopy()
	edit(&account.Spec)
	if equality.Semantic.DeepEqual(account.Spec, a.account(name).Spec) {
		return
	}
	account.Generation++
	a.storeAccount(account)
}

// deleteAccount deletes a DaftyAccount, which has no finalizer.
func (a *apiServer) deleteAccount(name string) {
	account := a.account(name).DeepCopy()
	account.DeletionTimestamp = new(metav1.Now())
	a.storeAccount(account)
}

// patchAccount applies a JSON merge patch to the status of a DaftyAccount.
func (a *apiServer) patchAccount(name string, data []byte) (*v1alpha1.DaftyAccount, error) {
	current, ok := a.accounts[name]
	if !ok {
		return nil, apierrors.NewNotFound(accountResource, name)
	}
	account := &v1alpha1.DaftyAccount{}
	if changed, err := patched(current, true, data, account); err != nil || !changed {
		return current.object, err
	}
	return a.storeAccount(account), nil
}

// storeAccount makes account the newest version of the object, as the API server would keep it, and tells everyone who watches.
func (a *apiServer) storeAccount(account *v1alpha1.DaftyAccount) *v1alpha1.DaftyAccount {
	a.revision++
	account.ResourceVersion = strconv.FormatInt(a.revision, 10)
	raw, err := json.Marshal(account)
	if err != nil {
		panic(err) // it is ours
	}
	stored := &v1alpha1.DaftyAccount{}
	if err := json.Unmarshal(raw, stored); err != nil {
		panic(err)
	}
	v := accountVersion{revision: a.revision, name: account.Name, object: stored, raw: raw}
	a.env.invariants.checkAccountVersion(a.accounts[account.Name].object, v)
	if account.DeletionTimestamp != nil {
		delete(a.accounts, account.Name)
		v.object = nil
	} else {
		a.accounts[account.Name] = v
	}
	a.accountHistory = append(a.accountHistory, v)
	for _, p := range a.env.processes {
		p.accounts.notify(v)
	}
	return stored
}

// label sets the labels of a namespace.
func (a *apiServer) label(name string, labels map[string]string) {
	a.revision++
	object := controller.NamespaceMetadata()
	object.Name, object.Labels = name, labels
	object.ResourceVersion = strconv.FormatInt(a.revision, 10)
	v := namespaceVersion{revision: a.revision, name: name, object: object}
	a.namespaces[name] = v
	a.namespaceHistory = append(a.namespaceHistory, v)
	for _, p := range a.env.processes {
		p.namespaces.notify(v)
	}
}

// putAccountSecret creates or changes the Secret of a DaftyAccount.
func (a *apiServer) putAccountSecret(account, apiKey string) {
	a.secrets[account] = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: accountsNamespace, Name: account},
		Data:       map[string][]byte{v1alpha1.DefaultSecretKey: []byte(apiKey)},
	}
}
