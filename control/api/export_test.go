package api

// MostWorking is how many calls of one client are worked on at once.
var MostWorking = mostWorking

// Routes lists the routes as "METHOD path", for the test that asks whether each has its rule.
func Routes() []string {
	var all []string
	for _, r := range new(api).routes() {
		all = append(all, r.method+" "+r.path)
	}
	return all
}
