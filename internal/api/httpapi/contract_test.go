package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/cometmq/cometmq/internal/api/httpapi"
)

// document is the contract as tests use it.
type document struct {
	root     map[string]any
	compiler *jsonschema.Compiler
	mux      *http.ServeMux // finds the path of the document for a request
	mu       sync.Mutex     // guards schemas
	schemas  map[string]*jsonschema.Schema
}

var contract = sync.OnceValues(func() (*document, error) {
	data, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	var root map[string]any
	if err = yaml.Unmarshal(data, &root); err != nil {
		return nil, err
	}
	// Through JSON, since the checker wants its kinds of numbers.
	b, err := json.Marshal(root)
	if err != nil {
		return nil, err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	closeObjects(v.(map[string]any)["components"].(map[string]any)["schemas"])
	d := &document{root: v.(map[string]any), compiler: jsonschema.NewCompiler(), mux: http.NewServeMux(), schemas: map[string]*jsonschema.Schema{}}
	if err := d.compiler.AddResource("openapi.json", v); err != nil {
		return nil, err
	}
	for operation := range d.operations() {
		d.mux.Handle(operation, http.NotFoundHandler())
	}
	return d, nil
})

// closeObjects makes a field that the contract does not name an error.
func closeObjects(v any) {
	switch x := v.(type) {
	case map[string]any:
		if _, ok := x["properties"].(map[string]any); ok && x["type"] == "object" && x["additionalProperties"] == nil {
			x["additionalProperties"] = false
		}
		for _, child := range x {
			closeObjects(child)
		}
	case []any:
		for _, child := range x {
			closeObjects(child)
		}
	}
}

func theContract(t *testing.T) *document {
	t.Helper()
	d, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *document) paths() map[string]any { return d.root["paths"].(map[string]any) }

// operations lists method and path with the operation.
func (d *document) operations() map[string]map[string]any {
	out := map[string]map[string]any{}
	for path, item := range d.paths() {
		for method, op := range item.(map[string]any) {
			if o, ok := op.(map[string]any); ok {
				out[strings.ToUpper(method)+" "+path] = o
			}
		}
	}
	return out
}

// schemaOf compiles the schema of an answer; nil: it has none.
func (d *document) schemaOf(t *testing.T, method, path, status, kind string) *jsonschema.Schema {
	t.Helper()
	op := d.operations()[method+" "+path]
	if op == nil {
		t.Fatalf("the contract has no %s %s", method, path)
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	if _, ok := op["responses"].(map[string]any)[status]; !ok {
		if status[0] == '2' {
			t.Fatalf("the contract has no %s of %s %s", status, method, path)
		}
		return d.compile(t, "openapi.json#/components/schemas/Problem")
	}
	content, _ := op["responses"].(map[string]any)[status].(map[string]any)["content"].(map[string]any)
	if content == nil {
		return nil
	}
	if content[kind] == nil {
		t.Fatalf("%s %s answers with %s, which is not in the contract", method, path, kind)
	}
	return d.compile(t, "openapi.json#/paths/"+escape.Replace(path)+"/"+strings.ToLower(method)+"/responses/"+status+"/content/"+escape.Replace(kind)+"/schema")
}

func (d *document) compile(t *testing.T, at string) *jsonschema.Schema {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[at]; s != nil {
		return s
	}
	s, err := d.compiler.Compile(at)
	if err != nil {
		t.Fatal(err)
	}
	d.schemas[at] = s
	return s
}

// pattern is the path of the contract that a request is for, "" for none.
func (d *document) pattern(method, path string) string {
	_, pattern := d.mux.Handler(httptest.NewRequestWithContext(context.Background(), method, path, http.NoBody))
	_, pattern, _ = strings.Cut(pattern, " ")
	return pattern
}

func (d *document) operationID(method, pattern string) string {
	id, _ := d.operations()[method+" "+pattern]["operationId"].(string)
	return id
}

// check holds an answer against the contract.
func (d *document) check(t *testing.T, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/api/v1")
	pattern := d.pattern(r.Method, path)
	if pattern == "" {
		return // no path of the contract
	}
	if w.Code < http.StatusBadRequest {
		called.note(t, d.operationID(r.Method, pattern))
	}
	kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	s := d.schemaOf(t, r.Method, pattern, itoa(w.Code), kind)
	if s == nil || w.Body.Len() == 0 {
		if (s == nil) != (w.Body.Len() == 0) {
			t.Errorf("%s %s: %d with %d bytes, against the contract", r.Method, path, w.Code, w.Body.Len())
		}
		return
	}
	if kind != "application/json" && kind != "application/problem+json" {
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Errorf("%s %s: %v: %s", r.Method, path, err, w.Body)
		return
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%s %s: %#v\n%s", r.Method, path, err, w.Body)
	}
}

func TestRouterAndContractAreTheSame(t *testing.T) {
	t.Parallel()
	ops := theContract(t).operations()
	served := map[string]bool{}
	for _, r := range httpapi.Routes() {
		name := r.Method + " " + r.Path
		op := ops[name]
		if op == nil {
			t.Errorf("%s is served and not in the contract", name)
			continue
		}
		served[name] = true
		if op["operationId"] != r.ID || op["x-role"] != r.Role {
			t.Errorf("%s: the contract says %v for %v, the router %s for %s", name, op["operationId"], op["x-role"], r.ID, r.Role)
		}
		if _, ok := op["responses"].(map[string]any)[itoa(r.Status)]; !ok {
			t.Errorf("%s answers with %d, which the contract does not have", name, r.Status)
		}
		if got := mentions(op, "idempotencyKey"); got != r.Idempotent {
			t.Errorf("%s: Idempotency-Key is %t in the contract, %t in the router", name, got, r.Idempotent)
		}
	}
	for name := range ops {
		if !served[name] {
			t.Errorf("%s is in the contract and not served", name)
		}
	}
}

func mentions(op map[string]any, parameter string) bool {
	list, _ := op["parameters"].([]any)
	return slices.ContainsFunc(list, func(p any) bool {
		ref, _ := p.(map[string]any)["$ref"].(string)
		return strings.HasSuffix(ref, "/"+parameter)
	})
}
