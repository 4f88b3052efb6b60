module github.com/pull-access/pull-access-operator

go 1.26.0

require (
	cloud.google.com/go/artifactregistry v0.0.0
	cloud.google.com/go/iam v0.0.0
)

// The rules look at import paths only: empty packages of these names serve, and nothing is downloaded.
replace (
	cloud.google.com/go/artifactregistry => ./google/artifactregistry
	cloud.google.com/go/iam => ./google/iam
)
