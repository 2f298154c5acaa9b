package daftysim

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
)

// adminPath is where [Options.Admin] serves the simulator's own state.
const adminPath = "/_sim/"

// serveAdmin serves people and scripts on the same machine. Dafty has nothing
// like it.
func (s *Simulator) serveAdmin(w http.ResponseWriter, r *http.Request) {
	// Requests of web pages, which have an Origin, are refused.
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() || r.Header.Get("Origin") != "" {
		http.Error(w, "the admin endpoints are for this machine alone", http.StatusForbidden)
		return
	}
	s.adminRoutes().ServeHTTP(w, r)
}

func (s *Simulator) adminRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	get := func(path string, value func() any) {
		mux.HandleFunc("GET "+adminPath+path, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, value()) })
	}
	do := func(pattern string, handle func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			value, err := handle(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			writeJSON(w, value)
		})
	}

	get("ledger", func() any { return s.Ledger() })
	get("running", func() any { return s.Running() })
	get("charges", func() any { return s.Charges() })
	get("requests", func() any { return s.Requests() })
	get("violations", func() any { return s.Violations() })
	get("faults", func() any { return s.PendingFaults() })
	get("variants", func() any { return s.variants().Readings() })

	do("DELETE "+adminPath+"requests", func(*http.Request) (any, error) { s.ForgetRequests(); return ok{}, nil })
	do("DELETE "+adminPath+"violations", func(*http.Request) (any, error) { s.ForgetViolations(); return ok{}, nil })
	do("POST "+adminPath+"faults", s.adminInject)
	do("DELETE "+adminPath+"faults", func(*http.Request) (any, error) { s.ClearFaults(); return ok{}, nil })
	do("DELETE "+adminPath+"faults/{id}", func(r *http.Request) (any, error) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err == nil {
			s.ClearFaults(id)
		}
		return ok{}, err
	})
	do("POST "+adminPath+"variants", s.adminVariants)
	do("POST "+adminPath+"accounts", s.adminAccount)
	do("POST "+adminPath+"credits", s.adminAccount)
	do("POST "+adminPath+"keys", s.adminAddKey)
	do("DELETE "+adminPath+"keys", s.adminRevokeKey)
	do("POST "+adminPath+"hold", func(*http.Request) (any, error) { s.Hold(); return ok{}, nil })
	do("POST "+adminPath+"release", func(*http.Request) (any, error) { s.Release(); return ok{}, nil })
	do("POST "+adminPath+"jobs", func(r *http.Request) (any, error) {
		body := struct {
			Account, Prompt string
			Operation       Operation
		}{}
		err := readJSON(r, &body)
		if err != nil {
			return nil, err
		}
		return map[string]string{"id": s.AddJob(body.Account, PersonJob{Operation: body.Operation, Prompt: body.Prompt})}, nil
	})
	do("POST "+adminPath+"jobs/{id}/start", func(r *http.Request) (any, error) { return ok{}, s.Start(r.PathValue("id")) })
	do("POST "+adminPath+"jobs/{id}/finish", func(r *http.Request) (any, error) {
		outcome := Succeed
		if r.URL.Query().Get("outcome") == string(Fail) {
			outcome = Fail
		}
		return ok{}, s.Finish(r.PathValue("id"), outcome)
	})
	return mux
}

// ok sends an answer without data.
type ok struct{}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) // the client may have left
}

func readJSON(r *http.Request, value any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	return decoder.Decode(value)
}

func (s *Simulator) adminInject(r *http.Request) (any, error) {
	var f Fault
	if err := readJSON(r, &f); err != nil {
		return nil, err
	}
	if err := f.validate(); err != nil {
		return nil, err
	}
	return map[string]int{"id": s.Inject(f)}, nil
}

func (s *Simulator) adminVariants(r *http.Request) (any, error) {
	var readings map[string]string
	if err := readJSON(r, &readings); err != nil {
		return nil, err
	}
	v := s.variants()
	for name, reading := range readings {
		if err := v.Set(name, reading); err != nil {
			return nil, err
		}
	}
	s.SetVariants(v)
	return v.Readings(), nil
}

// adminAccount changes those fields of an account that the body has.
func (s *Simulator) adminAccount(r *http.Request) (any, error) {
	var body struct {
		Account    string `json:"account"`
		Credits    *int   `json:"credits"`
		TopUp      *int   `json:"topUp"`
		Allowance  *int   `json:"allowance"`
		Subscribed *bool  `json:"subscribed"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	if body.Credits != nil {
		s.SetCredits(body.Account, *body.Credits)
	}
	if body.TopUp != nil {
		s.TopUp(body.Account, *body.TopUp)
	}
	if body.Allowance != nil {
		s.SetAllowance(body.Account, *body.Allowance)
	}
	if body.Subscribed != nil {
		s.SetSubscribed(body.Account, *body.Subscribed)
	}
	return map[string]int{"credits": s.Credits(body.Account)}, nil
}

type keyBody struct {
	Account string `json:"account"`
	APIKey  string `json:"apiKey"`
}

func (s *Simulator) adminAddKey(r *http.Request) (any, error) {
	var body keyBody
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	s.AddKey(body.Account, body.APIKey)
	return ok{}, nil
}

func (s *Simulator) adminRevokeKey(r *http.Request) (any, error) {
	var body keyBody
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	s.RevokeKey(body.APIKey)
	return ok{}, nil
}
