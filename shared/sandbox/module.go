package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// A hosted is a function that the environment has. What it returns is JSON.
type hosted func(*Sandbox, json.RawMessage) (out any, fault upstreamFault, ok bool)

// functions are those that can be called through the gateway: the one of the
// template for WeChat Pay, which the platform hosts.
var functions = map[string]hosted{"cloudbase_module": (*Sandbox).module}

// invokeFunction is the action functions.invokeFunction.
func (s *Sandbox) invokeFunction(w http.ResponseWriter, c call) {
	f, ok := s.function(string(c.param("function_name")))
	if !ok {
		s.refuseGateway(w, c, errGatewayNone)
		return
	}
	data := c.param("request_data")
	if _, err := parse(data); err != nil {
		s.refuseGateway(w, c, errGatewayData)
		return
	}
	out, fault, ok := f(s, data)
	if !ok {
		s.failGateway(w, c, fault)
		return
	}
	text, err := json.Marshal(out)
	if err != nil {
		s.failGateway(w, c, fault)
		return
	}
	s.writeGateway(w, c, http.StatusOK, mediaGateway, map[string]any{
		"requestId": c.id, "data": map[string]string{"response_data": string(text)},
	}, fault)
}

// A method is one of the module's.
type method struct {
	query bool
	call  func(*Sandbox, json.RawMessage) reply
}

var methods = map[string]method{
	"wxpay_refund":       {call: (*Sandbox).moduleRefund},
	"wxpay_refund_query": {query: true, call: (*Sandbox).moduleQuery},
}

// module is cloudbase_module. It speaks APIv3 on behalf of the merchant, who has
// left its number, its keys and the address for notifications with the template.
func (s *Sandbox) module(event json.RawMessage) (any, upstreamFault, bool) {
	var in struct {
		Name string          `json:"name"`
		Data json.RawMessage `json:"data"`
	}
	err := json.Unmarshal(event, &in)
	m, ok := methods[in.Name]
	if err != nil || !ok {
		return map[string]any{"code": -1, "msg": "Unimplemented method"}, upstreamFault{}, true
	}
	out, fault := s.befall(systemGateway, m.query, func() reply { return m.call(s, in.Data) })
	switch {
	case failed(out, fault):
		return nil, fault, false
	case out.no != nil:
		return s.moduleFailure(in.Data, out.no), fault, true
	}
	return map[string]any{"code": 0, "data": out.object}, fault, true
}

// moduleSchema is the data of wxpay_refund: what APIv3 takes, but for what the
// template fills in.
var moduleSchema = applySchema.without("/sub_mchid", "/notify_url")

// moduleQuerySchema is that of wxpay_refund_query, which wants one level more.
var moduleQuerySchema = schema{
	{path: "/params", kind: object, required: true},
	{path: "/params/out_refund_no", label: "商户退款单号", required: true, min: 1, max: 64, form: formNumber},
}

// without leaves some rules out.
func (s schema) without(paths ...string) schema {
	var out schema
	for _, r := range s {
		if !strings.Contains(strings.Join(paths, " ")+" ", r.path+" ") {
			out = append(out, r)
		}
	}
	return out
}

func (s *Sandbox) moduleRefund(data json.RawMessage) reply {
	return s.limited(func() reply {
		var a application
		if v := moduleSchema.read(data, &a); v != nil {
			return reply{no: refuseBody(v)}
		}
		s.mu.Lock()
		by := caller{public: s.public, notification: notificationTemplate}
		s.mu.Unlock()
		r, no := s.apply(a, by)
		return reply{object: r, no: no}
	})
}

func (s *Sandbox) moduleQuery(data json.RawMessage) reply {
	if s.limits.exceeded(limitQuery) {
		return reply{no: refuse(codeFrequency)}
	}
	var in struct {
		Params struct {
			OutRefundNo string `json:"out_refund_no"`
		} `json:"params"`
	}
	if v := moduleQuerySchema.read(data, &in); v != nil {
		return reply{no: refuseBody(v)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refunds[in.Params.OutRefundNo]
	if r == nil || r.subMchID != "" {
		return reply{no: refuse(codeNotFound).say("退款单不存在")}
	}
	return reply{object: r.object()}
}

// A moduleFailure is a way in which the module says no. Nothing about it is
// documented: these are the shapes that its users' programs are prepared for.
type moduleFailure struct {
	name  string
	rare  bool // only on demand: the code is lost in a sentence, so that a client never learns more
	shape func(no *refusal, inner string) any
}

var moduleFailures = []moduleFailure{
	{name: "errcode", shape: func(no *refusal, inner string) any {
		return map[string]any{"errcode": no.status(), "errmsg": inner}
	}},
	{name: "http", rare: true, shape: func(_ *refusal, inner string) any {
		return map[string]any{"errcode": -1, "errmsg": "http请求失败, 错误信息: " + inner}
	}},
	{name: "code", shape: func(no *refusal, inner string) any {
		return map[string]any{"code": no.status(), "msg": inner}
	}},
	{name: "passed", shape: func(_ *refusal, inner string) any {
		return json.RawMessage(inner)
	}},
	{name: "inside", shape: func(_ *refusal, inner string) any {
		return map[string]any{"code": 0, "data": json.RawMessage(inner)}
	}},
}

// moduleFailure chooses the shape: the one that is configured, or by the dice one
// for each request that is refused, so that a repeat gets the same answer.
func (s *Sandbox) moduleFailure(data json.RawMessage, no *refusal) any {
	inner, err := json.Marshal(map[string]string{"code": no.code, "message": no.message})
	if err != nil {
		inner = []byte("{}")
	}
	shapes := slices.DeleteFunc(slices.Clone(moduleFailures), func(f moduleFailure) bool {
		return f.name != s.cfg.ModuleFailure && (f.rare || s.cfg.ModuleFailure != "")
	})
	return shapes[s.dice.throw("module failure", string(data), no.code).IntN(len(shapes))].shape(no, string(inner))
}
