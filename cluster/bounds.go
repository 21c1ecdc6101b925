package cluster

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// What one node may say at most, so that none can fill the control service and, through it, the others.
const (
	mostText = 4 << 10  // bytes of a text; the rest of a longer one is cut off
	mostItem = 100_000  // entries of a list or a map
	mostNode = 16 << 10 // bytes of a Node, which every other node is told
)

// Bound cuts off what is too long of every text in *v, which a node sends: a message that is cut says
// more than one that is refused. It returns ErrInvalid if a list or a map has too many entries. What
// it changes it changes in place, so v must be the caller's own.
func Bound(v any) error { return bound(reflect.ValueOf(v)) }

func bound(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return bound(v.Elem())
		}
	case reflect.String:
		if v.Len() > mostText && v.CanSet() {
			v.SetString(strings.ToValidUTF8(v.String()[:mostText], "") + "...")
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				if err := bound(f); err != nil {
					return fmt.Errorf("%s: %w", v.Type().Field(i).Name, err)
				}
			}
		}
	case reflect.Slice, reflect.Map:
		if v.Len() > mostItem {
			return fmt.Errorf("%w: %d entries, and %d is the most", ErrInvalid, v.Len(), mostItem)
		}
		return boundEntries(v)
	}
	return nil
}

func boundEntries(v reflect.Value) error {
	if v.Kind() == reflect.Slice {
		for i := range v.Len() {
			if err := bound(v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, key := range v.MapKeys() {
		if key.Kind() == reflect.String && key.Len() > mostText {
			return fmt.Errorf("%w: it has a key of %d bytes", ErrInvalid, key.Len())
		}
		value := reflect.New(v.Type().Elem()).Elem()
		value.Set(v.MapIndex(key))
		if err := bound(value); err != nil {
			return err
		}
		if !reflect.DeepEqual(value.Interface(), v.MapIndex(key).Interface()) {
			v.SetMapIndex(key, value) // others may be reading a map that is right as it is
		}
	}
	return nil
}

// oversized says that a node describes itself at too great a length; empty if it does not.
func (n Node) oversized() string {
	text, err := json.Marshal(n)
	if err == nil && len(text) > mostNode {
		return fmt.Sprintf("it has %d bytes, and %d is the most", len(text), mostNode)
	}
	return ""
}
