package wxpayfunctions

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"

	"wxrefund/shared/refund"
)

// newValidator knows, beside validator's own, the two rules that WeChat Pay
// has for texts.
func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name
	})
	for tag, rule := range map[string]validator.Func{"maxbytes": maxBytes, "wxtext": wxText} {
		if err := v.RegisterValidation(tag, rule); err != nil {
			panic(err) // only a malformed tag name, a defect
		}
	}
	return v
}

// maxBytes: WeChat Pay counts bytes where validator's max counts characters.
func maxBytes(f validator.FieldLevel) bool {
	n, err := strconv.Atoi(f.Param())
	return err == nil && len(f.Field().String()) <= n
}

// wxText: UTF-8 of at most three bytes a character, no control characters
// (APIv3 basic rules: no emoji).
func wxText(f validator.FieldLevel) bool {
	for _, r := range f.Field().String() {
		if r == utf8.RuneError || r > 0xFFFD || r < 0x20 || r == 0x7F {
			return false
		}
	}
	return true
}

// check reports each field whose shape is wrong, by name.
func (h *Handler) check(d *decoder, v any) error {
	err := h.validate().Struct(v)
	if err == nil {
		return nil
	}
	fields, ok := errors.AsType[validator.ValidationErrors](err)
	if !ok {
		return err
	}
	for _, f := range fields {
		_, path, _ := strings.Cut(f.Namespace(), ".")
		switch {
		case f.Kind() == reflect.Struct: // absent or empty, which the decoder has reported
		case f.Tag() == "required_without":
			d.reportProblems(refund.Problem{Fields: []string{path, "out_trade_no"}, Says: path + " " + rule(f)})
		case f.Tag() == "required_without_all":
			d.reportProblems(refund.Problem{Fields: []string{path, "out_refund_no", "transaction_id", "out_trade_no"}, Says: path + " " + rule(f)})
		default:
			d.report(path, path+" "+rule(f))
		}
	}
	return nil
}

// rule says what the rule that a field broke asks for.
func rule(f validator.FieldError) string {
	number := f.Kind() == reflect.Int64 || f.Kind() == reflect.Int
	switch f.Tag() {
	case "required":
		return "is required"
	case "required_without":
		return "or out_trade_no is required"
	case "oneof":
		return "must be " + oneOf(strings.Fields(f.Param()))
	case "required_without_all":
		return "or out_refund_no, transaction_id or out_trade_no is required"
	case "min":
		return "must be at least " + f.Param()
	case "max":
		switch {
		case number:
			return "must be at most " + f.Param()
		case f.Kind() == reflect.Slice:
			return fmt.Sprintf("must have at most %s entries", f.Param())
		}
		return fmt.Sprintf("must have at most %s characters", f.Param())
	case "maxbytes":
		return fmt.Sprintf("must have at most %s bytes", f.Param())
	case "iso4217":
		return "must be a three-letter code of ISO 4217"
	case "wxtext":
		return "holds a character that WeChat Pay does not accept"
	}
	return "breaks the rule " + f.Tag()
}
