package cloudbase

import (
	"encoding/json"
	"net/http"
	"slices"

	"wxrefund/shared/sandbox/apiv3"
	"wxrefund/shared/sandbox/door"
	"wxrefund/shared/sandbox/schema"
	"wxrefund/shared/sandbox/world"
)

// A hosted is a function that the environment has. What it returns is JSON.
type hosted func(*Door, call, json.RawMessage) (out any, fault world.UpstreamFault, ok bool)

// functions are those that can be called through the gateway: the one of the
// template for WeChat Pay, which the platform hosts.
var functions = map[string]hosted{"cloudbase_module": (*Door).module}

// invokeFunction is the action functions.invokeFunction.
func (d *Door) invokeFunction(w http.ResponseWriter, c call) {
	name := string(c.param("function_name"))
	if f, ok := d.merchantFunction(name); ok {
		d.invokeMerchant(w, c, f)
		return
	}
	f, ok := d.function(name)
	if !ok {
		d.refuse(w, c, errNone)
		return
	}
	data := c.param("request_data")
	if _, err := schema.Parse(data); err != nil {
		d.refuse(w, c, errData)
		return
	}
	out, fault, ok := f(d, c, data)
	if !ok {
		d.fail(w, c, fault)
		return
	}
	text, err := json.Marshal(out)
	if err != nil {
		d.fail(w, c, fault)
		return
	}
	d.respond(w, c, string(text), fault)
}

// system is the module as faults see it: it speaks of errors as APIv3 does.
var system = world.System{Codes: world.Answerable}

// A method is one of the module's.
type method struct {
	on   string // what faults call it
	call func(*Door, call, json.RawMessage) door.Reply
}

var methods = map[string]method{
	"wxpay_refund":       {on: world.OnApply, call: (*Door).moduleRefund},
	"wxpay_refund_query": {on: world.OnQuery, call: (*Door).moduleQuery},

	"wxpay_query_order_by_transaction_id": {on: world.OnOrder, call: (*Door).moduleTransaction},
	"wxpay_query_order_by_out_trade_no":   {on: world.OnOrder, call: (*Door).moduleTrade},
}

// module is cloudbase_module. It speaks APIv3 on behalf of the merchant, who has
// left its number, its keys and the address for notifications with the template.
func (d *Door) module(c call, event json.RawMessage) (any, world.UpstreamFault, bool) {
	var in struct {
		Name string          `json:"name"`
		Data json.RawMessage `json:"data"`
	}
	err := json.Unmarshal(event, &in)
	m, ok := methods[in.Name]
	if err != nil || !ok {
		return map[string]any{"code": -1, "msg": "Unimplemented method"}, world.UpstreamFault{}, true
	}
	out, fault := door.Carry(d.world, system, m.on, func() door.Reply { return m.call(d, c, in.Data) })
	switch {
	case out.Failed(fault):
		return nil, fault, false
	case out.No != nil:
		c.Record.Refuse(out.No.Code)
		return d.moduleFailure(in.Data, out.No), fault, true
	}
	return map[string]any{"code": 0, "data": out.Object}, fault, true
}

// moduleForm is the data of wxpay_refund: what APIv3 takes, but for what the
// template fills in.
var moduleForm = apiv3.ApplySchema.Without("/sub_mchid", "/notify_url")

// moduleQueryForm is that of wxpay_refund_query, which wants one level more.
var moduleQueryForm = schema.Schema{
	{Path: "/params", Kind: schema.Object, Required: true},
	{Path: "/params/out_refund_no", Label: "商户退款单号", Required: true, Min: 1, Max: 64, Form: schema.FormNumber},
}

func (d *Door) moduleRefund(c call, data json.RawMessage) door.Reply {
	return door.Limited(d.world, func() door.Reply {
		var a world.Application
		if v := c.CheckBody(moduleForm.Read(data, &a)); v != nil {
			return door.Reply{No: world.RefuseBody(v)}
		}
		r, no := d.world.Apply(a, world.Caller{Notification: world.NotificationTemplate})
		return door.Reply{Object: r, No: no}
	})
}

func (d *Door) moduleQuery(c call, data json.RawMessage) door.Reply {
	if d.world.Exceeded(world.LimitQuery) {
		return door.Reply{No: world.Refuse(world.CodeFrequency)}
	}
	var in struct {
		Params struct {
			OutRefundNo string `json:"out_refund_no"`
		} `json:"params"`
	}
	if v := c.CheckBody(moduleQueryForm.Read(data, &in)); v != nil {
		return door.Reply{No: world.RefuseBody(v)}
	}
	r, ok := d.world.Refund(in.Params.OutRefundNo)
	if !ok || r.SubMchID != "" {
		return door.Reply{No: world.Refuse(world.CodeNotFound).Say("退款单不存在")}
	}
	return door.Reply{Object: r}
}

// A moduleFailure is a way in which the module says no. Nothing about it is
// documented: these are the shapes that its users' programs are prepared for.
type moduleFailure struct {
	name  string
	rare  bool // only on demand: the code is lost in a sentence, so that a client never learns more
	shape func(no *world.Refusal, inner string) any
}

var moduleFailures = []moduleFailure{
	{name: "errcode", shape: func(no *world.Refusal, inner string) any {
		return map[string]any{"errcode": no.Status(), "errmsg": inner}
	}},
	{name: "http", rare: true, shape: func(_ *world.Refusal, inner string) any {
		return map[string]any{"errcode": -1, "errmsg": "http请求失败, 错误信息: " + inner}
	}},
	{name: "code", shape: func(no *world.Refusal, inner string) any {
		return map[string]any{"code": no.Status(), "msg": inner}
	}},
	{name: "passed", shape: func(_ *world.Refusal, inner string) any {
		return json.RawMessage(inner)
	}},
	{name: "inside", shape: func(_ *world.Refusal, inner string) any {
		return map[string]any{"code": 0, "data": json.RawMessage(inner)}
	}},
}

// moduleFailure chooses the shape: the one that is configured, or one by the seed
// for each request that is refused, so that a repeat gets the same answer.
func (d *Door) moduleFailure(data json.RawMessage, no *world.Refusal) any {
	inner, err := json.Marshal(map[string]string{"code": no.Code, "message": no.Message})
	if err != nil {
		inner = []byte("{}")
	}
	shapes := slices.DeleteFunc(slices.Clone(moduleFailures), func(f moduleFailure) bool {
		return f.name != d.cfg.ModuleFailure && (f.rare || d.cfg.ModuleFailure != "")
	})
	return shapes[d.world.Rand("module failure", string(data), no.Code).IntN(len(shapes))].shape(no, string(inner))
}
