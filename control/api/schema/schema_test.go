package schema

import (
	"math"
	"regexp"
	"slices"
	"testing"
)

func TestCheck(t *testing.T) {
	letters := regexp.MustCompile(`^[a-z]+$`)
	text := Schema{Type: String}
	point := Schema{Type: Object, Properties: map[string]Schema{"x": {Type: Integer}, "y": {Type: Integer}}, Required: []string{"x", "y"}}
	for _, tt := range []struct {
		rule   string
		schema Schema
		value  string
		want   []string
	}{
		{"nothing asked", Schema{}, `[1, "a", null]`, nil},
		{"a string is no integer", Schema{Type: Integer}, `"x"`, []string{"u'x' is not of type 'integer'"}},
		{"true is no integer", Schema{Type: Integer}, `true`, []string{"True is not of type 'integer'"}},
		{"1.0 is no integer", Schema{Type: Integer}, `1.0`, []string{"1.0 is not of type 'integer'"}},
		{"1e3 is no integer", Schema{Type: Integer}, `1e3`, []string{"1e3 is not of type 'integer'"}},
		{"an integer is a number", Schema{Type: Number}, `1`, nil},
		{"a fraction is a number", Schema{Type: Number}, `1.5`, nil},
		{"null is no number", Schema{Type: Number}, `null`, []string{"None is not of type 'number'"}},
		{"or null", Schema{Type: Integer, OrNull: true}, `null`, nil},
		{"neither nor null", Schema{Type: Integer, OrNull: true}, `false`, []string{"False is not of type 'integer', 'null'"}},
		{"boolean", Schema{Type: Boolean}, `0`, []string{"0 is not of type 'boolean'"}},
		{"an array is no object", Schema{Type: Object}, `[]`, []string{"[] is not of type 'object'"}},
		{"an object is no array", Schema{Type: Array}, `{"b": 1, "a": null}`, []string{"{u'a': None, u'b': 1} is not of type 'array'"}},

		{"at the minimum", Schema{Range: &Range{0, 9}}, `0`, nil},
		{"below the minimum", Schema{Range: &Range{5, 9}}, `4`, []string{"4 is less than the minimum of 5"}},
		{"at the maximum", Schema{Range: &Range{5, 9}}, `9`, nil},
		{"above the maximum", Schema{Range: &Range{5, 9}}, `10`, []string{"10 is greater than the maximum of 9"}},
		{"more than 64 bits", Schema{Range: &Range{5, math.MaxInt64}}, `9223372036854775808`,
			[]string{"9223372036854775808 is greater than the maximum of 9223372036854775807"}},

		{"too short and of the wrong form", Schema{MinLength: 3, Pattern: letters}, `"A"`,
			[]string{"u'A' is too short", "u'A' does not match '^[a-z]+$'"}},
		{"length counts characters", Schema{MaxLength: 2}, `"äö"`, nil},
		{"too long", Schema{MaxLength: 2}, `"äöü"`, []string{`u'\xe4\xf6\xfc' is too long`}},
		{"enum", Schema{Enum: []string{"a", "b"}}, `"c"`, []string{"u'c' is not one of ['a', 'b']"}},

		{"too few items", Schema{MinItems: 1}, `[]`, []string{"[] is too short"}},
		{"too many items", Schema{MaxItems: 1}, `[1, 2]`, []string{"[1, 2] is too long"}},
		{"equal items", Schema{Unique: true}, `[{"a": 1}, {"a": 1}]`, []string{"[{u'a': 1}, {u'a': 1}] has non-unique elements"}},
		{"each item", Schema{Items: &text}, `["a", 1, true]`, []string{"1 is not of type 'string'", "True is not of type 'string'"}},

		{"all is there", point, `{"x": 1, "y": 2}`, nil},
		{"all is missing", point, `{}`, []string{"'x' is a required property", "'y' is a required property"}},
		{"one too many", point, `{"x": 1, "y": 2, "junk": 3}`, []string{"Additional properties are not allowed (u'junk' was unexpected)"}},
		{"two too many", point, `{"x": 1, "y": 2, "b": 3, "a": 3}`, []string{"Additional properties are not allowed (u'a', u'b' were unexpected)"}},
		{"names are compared exactly", point, `{"X": 1, "y": 2}`,
			[]string{"'x' is a required property", "Additional properties are not allowed (u'X' was unexpected)"}},
		{"inside", point, `{"x": "a", "y": 2}`, []string{"u'a' is not of type 'integer'"}},
		{"open", Schema{Type: Object, Open: true}, `{"any": {"thing": 1}}`, nil},
		{"keys", Schema{Keys: letters, Values: &text}, `{"a": "b", "c": 1, "D": "e"}`,
			[]string{"1 is not of type 'string'", "Additional properties are not allowed (u'D' was unexpected)"}},
		{"too many members", Schema{Keys: letters, Values: &text, MaxProperties: 1}, `{"a": "b", "c": "d"}`,
			[]string{"{u'a': u'b', u'c': u'd'} has too many properties"}},

		{"one of", Schema{OneOf: []Schema{text, point}}, `"a"`, nil},
		{"none of", Schema{Open: true, OneOf: []Schema{text, point}}, `{"x": 1}`, []string{"{u'x': 1} is not valid under any of the given schemas"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			v, err := Parse([]byte(tt.value))
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.schema.Check(v); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{``, `{`, `{"a": 1} {}`, `{"a": 1}]`, `nul`, `{'a': 1}`} {
		if v, err := Parse([]byte(text)); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", text, v)
		}
	}
}

func TestPythonRepr(t *testing.T) {
	for text, want := range map[string]string{
		`"plain"`:            `u'plain'`,
		`"it's"`:             `u"it's"`,
		`"both ' and \""`:    `u'both \' and "'`,
		`"back\\slash"`:      `u'back\\slash'`,
		`"a\nb\tc\rd\u0000"`: `u'a\nb\tc\rd\x00'`,
		`"\u007f\u00e9"`:     `u'\x7f\xe9'`,
		`"\u20ac"`:           `u'\u20ac'`,
		`"\ud83d\ude00"`:     `u'\U0001f600'`,
		`[true, null, -1]`:   `[True, None, -1]`,
		`{"a": [], "b": {}}`: `{u'a': [], u'b': {}}`,
	} {
		v, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := pythonRepr(v); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func FuzzCheckIsStable(f *testing.F) {
	f.Add([]byte(`{"x": 1, "y": [{"a": "é"}], "z": null}`))
	f.Add([]byte(`[[[[1e999, -0, 12345678901234567890]]]]`))
	anything := Schema{Type: Object, Required: []string{"x"}, Keys: regexp.MustCompile(`^.{1,2}$`), MaxProperties: 2,
		Values: &Schema{OrNull: true, Type: Array, Unique: true, Items: &Schema{Range: &Range{0, 9}, MaxLength: 3}}}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Parse(text)
		if err != nil {
			return
		}
		if a, b := anything.Check(v), anything.Check(v); !slices.Equal(a, b) {
			t.Errorf("two answers: %q and %q", a, b)
		}
	})
}
