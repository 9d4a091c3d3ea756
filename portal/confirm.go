package portal

import "slices"

// confirmed reports whether a form that destroys something was confirmed.
func (x *exchange) confirmed() bool { return x.r.PostForm.Get("confirmed") == "yes" }

// ask asks once before something is destroyed: it shows the form again, with
// all that was sent and one more field.
func (x *exchange) ask(question, button, back string) error {
	f := &form{Action: x.r.URL.Path, Submit: button, Danger: true, Cancel: x.path(back)}
	names := make([]string, 0, len(x.r.PostForm))
	for name := range x.r.PostForm {
		if name != "csrf" && name != "confirmed" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range x.r.PostForm[name] {
			f.Fields = append(f.Fields, field{Kind: "hidden", Name: name, Value: value})
		}
	}
	f.Fields = append(f.Fields, field{Kind: "hidden", Name: "confirmed", Value: "yes"})
	return x.show(view{Title: txtSureTitle, Lead: question, Blocks: []block{{Form: f}}})
}
