package daftysim

import (
	"net"
	"net/url"
	"strings"
)

// resolve returns what a reference stands for: an upload or an earlier image of
// the account, by a form that the variants take, or any https URL with a public
// address, of which nothing is known (a nil picture). The caller holds the lock.
func (s *Simulator) resolve(c *call, field, reference string) (*picture, *refusal) {
	acc := c.key.account
	if u, err := url.Parse(reference); err == nil && u.IsAbs() {
		return s.resolveURL(c, field, reference, u)
	}
	if u := acc.uploads[reference]; u != nil {
		return u.asPicture(field)
	}
	taken := s.opts.Variants.References
	if p := acc.pictures[canonical(reference)]; p != nil && (p.job == "" || taken == ReferencesAny || taken == ReferencesVariation) {
		return p, nil
	}
	if p := s.firstOf(acc, reference); p != nil && (taken == ReferencesAny || taken == ReferencesJob) {
		return p, nil
	}
	if uuidPattern.MatchString(reference) || strings.HasPrefix(reference, uploadPrefix) {
		return nil, notFound("Reference %s was not found", reference)
	}
	return nil, noReference(field)
}

func noReference(field string) *refusal {
	return invalid(fieldErrors{field: "must be an https URL, or the id or url of an upload or of an earlier generation"})
}

// resolveURL takes the url of an upload or a result of the account exactly as it
// was answered. Others on this host are nobody's, and elsewhere it is a guess
// whether there is an image: Dafty would fetch it.
func (s *Simulator) resolveURL(c *call, field, reference string, u *url.URL) (*picture, *refusal) {
	acc := c.key.account
	if path, ours := strings.CutPrefix(reference, c.base); ours {
		if name, ok := strings.CutPrefix(path, filesPath); ok {
			if upload := acc.uploads[name]; upload != nil {
				return upload.asPicture(field)
			}
			if p := acc.pictures[strings.TrimSuffix(name, ".png")]; p != nil && p.path() == path {
				if s.opts.Variants.ResultURL == ResultURLRefused {
					return nil, invalid(fieldErrors{field: "could not be fetched"})
				}
				return p, nil
			}
		}
		if u.Scheme == "https" {
			return nil, notFound("There is no image at %s", reference)
		}
	}
	switch {
	case u.Scheme != "https" || u.Hostname() == "":
		return nil, noReference(field)
	case u.Hostname() == assetsHost && !acc.hasAsset(reference):
		return nil, notFound("There is no image at %s", reference)
	case !public(u.Hostname()):
		return nil, invalid(fieldErrors{field: "must have a public address"})
	}
	return nil, nil
}

// public reports whether a host may be asked for an image: none within a cluster
// or a private network is.
func public(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsGlobalUnicast() && !ip.IsPrivate()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, within := range []string{".local", ".internal", ".svc", ".localhost"} {
		if strings.HasSuffix(host, within) {
			return false
		}
	}
	return strings.Contains(host, ".")
}

func (u *upload) asPicture(field string) (*picture, *refusal) {
	if !u.complete {
		return nil, invalid(fieldErrors{field: "upload " + u.id + " is not complete"})
	}
	return &picture{id: u.id, width: u.width, height: u.height}, nil
}
