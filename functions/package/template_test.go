package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// plainYAML reads YAML as maps, lists and scalars, with the short forms of
// CloudFormation's functions written out: !Ref x is {Ref: x}.
func plainYAML(text string) (any, error) {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		return nil, err
	}
	if len(n.Content) != 1 {
		return nil, errors.New("want one document")
	}
	return plainNode(n.Content[0])
}

func plainNode(n *yaml.Node) (v any, err error) {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if _, twice := m[name]; twice {
				return nil, fmt.Errorf("line %d: %s stands twice", n.Content[i].Line, name)
			}
			if m[name], err = plainNode(n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		v = m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			if list[i], err = plainNode(c); err != nil {
				return nil, err
			}
		}
		v = list
	case yaml.ScalarNode:
		if v = n.Value; n.Tag == "!!int" || n.Tag == "!!bool" {
			err = n.Decode(&v)
		}
	default: // CloudFormation does not read aliases
		return nil, fmt.Errorf("line %d: an alias or what else is not plain", n.Line)
	}
	name, short := strings.CutPrefix(n.Tag, "!")
	if err != nil || !short || strings.HasPrefix(name, "!") {
		return v, err
	}
	if name == "GetAtt" {
		parts := strings.SplitN(fmt.Sprint(v), ".", 2)
		return map[string]any{"Fn::GetAtt": []any{parts[0], parts[len(parts)-1]}}, nil
	}
	if name != "Ref" && name != "Condition" {
		name = "Fn::" + name
	}
	return map[string]any{name: v}, nil
}

// at returns what stands at a path of names; nil if nothing does.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func textAt(v any, path ...string) string {
	if found := at(v, path...); found != nil {
		return fmt.Sprint(found)
	}
	return ""
}

func listAt(v any, path ...string) []any {
	l, _ := at(v, path...).([]any)
	return l
}

func mapAt(v any, path ...string) map[string]any {
	m, _ := at(v, path...).(map[string]any)
	return m
}

// A stack is a template as it is deployed with some parameters.
type stack struct {
	template   any
	parameters map[string]string
}

// newStack takes the parameters' defaults where none is given. One that the
// template does not have is an error.
func newStack(template any, given map[string]string) (stack, error) {
	s := stack{template, map[string]string{}}
	for name, p := range mapAt(template, "Parameters") {
		s.parameters[name] = textAt(p, "Default")
	}
	for name, value := range given {
		if _, ok := s.parameters[name]; !ok {
			return s, fmt.Errorf("the template has no parameter %s", name)
		}
		s.parameters[name] = value
	}
	return s, nil
}

// noValue is what leaves a property out.
type noValue struct{}

// withRegion is what the pseudo parameters are in tests.
var pseudo = map[string]string{"AWS::Region": "ap-east-1", "AWS::StackName": "wxrefund"}

// functionURL is what the URL of a function is in tests.
const functionURL = "https://abc.lambda-url.ap-east-1.on.aws/"

// name resolves a reference: to a parameter, or to a resource by its own name.
func (s stack) name(ref string) (string, error) {
	if value, ok := s.parameters[ref]; ok {
		return value, nil
	}
	if value, ok := pseudo[ref]; ok {
		return value, nil
	}
	resource, _, _ := strings.Cut(ref, ".")
	if at(s.template, "Resources", resource) == nil {
		return "", fmt.Errorf("nothing is called %s", ref)
	}
	return ref, nil
}

var substitution = regexp.MustCompile(`\$\{[^}]*\}`)

// value evaluates the functions that a value calls.
func (s stack) value(v any) (any, error) {
	m, isMap := v.(map[string]any)
	if !isMap {
		return v, nil
	}
	for function, argument := range m {
		switch list, _ := argument.([]any); function {
		case "Ref":
			if argument == "AWS::NoValue" {
				return noValue{}, nil
			}
			return s.name(fmt.Sprint(argument))
		case "Fn::GetAtt":
			if len(list) == 2 && list[1] == "FunctionUrl" {
				return functionURL, nil
			}
			return fmt.Sprintf("%v.%v", list[0], list[1]), nil
		case "Fn::Sub":
			var failed error
			text := substitution.ReplaceAllStringFunc(fmt.Sprint(argument), func(ref string) string {
				value, err := s.name(ref[2 : len(ref)-1])
				failed = errors.Join(failed, err)
				return value
			})
			return text, failed
		case "Fn::If":
			met, err := s.condition(map[string]any{"Condition": list[0]})
			if err != nil {
				return nil, err
			}
			if met {
				return s.value(list[1])
			}
			return s.value(list[2])
		}
	}
	return v, nil
}

// condition evaluates a condition.
func (s stack) condition(v any) (bool, error) {
	for function, argument := range mapAt(v) {
		list, _ := argument.([]any)
		var met []bool
		if function == "Fn::Not" || function == "Fn::And" || function == "Fn::Or" {
			for _, c := range list {
				one, err := s.condition(c)
				if err != nil {
					return false, err
				}
				met = append(met, one)
			}
		}
		switch function {
		case "Condition":
			c := at(s.template, "Conditions", fmt.Sprint(argument))
			if c == nil {
				return false, fmt.Errorf("there is no condition %v", argument)
			}
			return s.condition(c)
		case "Fn::Equals":
			a, errA := s.value(list[0])
			b, errB := s.value(list[1])
			return fmt.Sprint(a) == fmt.Sprint(b), errors.Join(errA, errB)
		case "Fn::Not":
			return !met[0], nil
		case "Fn::And":
			return !slices.Contains(met, false), nil
		case "Fn::Or":
			return slices.Contains(met, true), nil
		}
	}
	return false, fmt.Errorf("%v is no condition", v)
}

// environment returns the variables of a function as the stack has them.
func (s stack) environment(function string) (map[string]string, error) {
	all := maps.Clone(mapAt(s.template, "Globals", "Function", "Environment", "Variables"))
	maps.Copy(all, mapAt(s.template, "Resources", function, "Properties", "Environment", "Variables"))
	env := map[string]string{}
	for name, v := range all {
		value, err := s.value(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if _, absent := value.(noValue); !absent {
			env[name] = fmt.Sprint(value)
		}
	}
	return env, nil
}
