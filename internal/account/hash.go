package account

import (
	"crypto/sha256"
	"encoding/hex"

	"k8s.io/apimachinery/pkg/types"
)

// Hash returns what v1alpha1.Submission.CredentialsHash holds of an API key. The uid keeps equal keys of two objects from
// looking equal.
func Hash(uid types.UID, apiKey string) string {
	sum := sha256.Sum256([]byte(string(uid) + "\x00" + apiKey))
	return hex.EncodeToString(sum[:4])
}

// label returns the short name of an API key in metrics. The salt keeps it from being compared with anything else that is made
// of the key, such as the hash in status.
func label(salt, apiKey string) string {
	sum := sha256.Sum256([]byte(salt + "\x00" + apiKey))
	return hex.EncodeToString(sum[:3])
}
