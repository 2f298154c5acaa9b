# Bases by tag, so that anyone can build this; a release gives both by digest (docs/releasing.md). Go is go.mod's toolchain.
ARG GO_IMAGE=docker.io/library/golang:1.26.8
ARG BASE_IMAGE=gcr.io/distroless/static-debian13:nonroot

# Built on the builder's own platform for the target's: Go cross-compiles, and nothing is emulated.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src

COPY go.mod go.sum ./
RUN go mod download

COPY *.go ./
COPY api/ api/
COPY internal/ internal/
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG COMMIT=
ARG SOURCE_DATE_EPOCH=0
# The same bytes wherever and whenever it is built; make binaries builds them without a container.
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" -o /manager . && \
    touch -d "@${SOURCE_DATE_EPOCH}" /manager

# No shell, no packages; CA certificates and a user are all that is in it. Of its platform by default, but old releases of
# buildah and podman would take the first stage's.
FROM --platform=$TARGETPLATFORM ${BASE_IMAGE}
ARG BASE_IMAGE
ARG VERSION=dev
ARG COMMIT=
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=https://dafty.ai/dafty-operator
LABEL org.opencontainers.image.title="dafty-operator" \
      org.opencontainers.image.description="Kubernetes operator for Dafty: images and videos as resources" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
COPY --from=build /manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
