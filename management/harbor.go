package management

// harborPrefix is where Harbor has its API.
const harborPrefix = "/api/v2.0"
