package wireconf

import (
	"reflect"
	"testing"

	"github.com/cometmq/cometmq/internal/mq"
)

// Each field makes the way there and back: one that is added to the contract and forgotten here is found.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	topic := mq.TopicConfig{}
	fill(t, reflect.ValueOf(&topic).Elem())
	wire := FromTopic(&topic)
	if back := ToTopic(&wire); !reflect.DeepEqual(back, topic) {
		t.Errorf("%+v, want %+v", back, topic)
	}
	group := mq.GroupConfig{}
	fill(t, reflect.ValueOf(&group).Elem())
	body := FromGroup(&group)
	if back := ToGroup(&body); !reflect.DeepEqual(back, group) {
		t.Errorf("%+v, want %+v", back, group)
	}
}

// fill gives each field of a struct a value that is not the zero one.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		f := v.Field(i)
		switch f.Kind() {
		case reflect.String:
			f.SetString("text " + v.Type().Field(i).Name)
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Map:
			f.Set(reflect.ValueOf(map[string]string{"key": "value"}))
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case reflect.Pointer:
			// the mapping of a static topic, which is not translated
		default:
			if !f.CanInt() {
				t.Fatalf("field %s of %s is of a kind that this test does not know", v.Type().Field(i).Name, v.Type())
			}
			f.SetInt(int64(3 + i))
		}
	}
}
