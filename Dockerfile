# syntax=docker/dockerfile:1

# The compiler runs on the builder's own platform and cross-compiles, so that no platform is built under emulation.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ENV CGO_ENABLED=0 GOCACHE=/cache/build GOMODCACHE=/cache/mod
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/cache go mod download
COPY . .
ARG TARGETOS TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,target=/cache \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=$VERSION" -o /out/manager ./cmd/manager

# No shell, no package manager, no root. The base is named by tag: a release pins it, and the image it makes, by digest.
FROM gcr.io/distroless/static:nonroot
COPY --from=build /out/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
