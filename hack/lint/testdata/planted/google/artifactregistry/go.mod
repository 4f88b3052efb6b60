module cloud.google.com/go/artifactregistry

go 1.26.0
