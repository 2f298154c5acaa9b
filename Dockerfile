# syntax=docker/dockerfile:1

# Built on the builder's own platform for the target's: Go cross-compiles, and nothing is emulated.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS=linux
ARG TARGETARCH
WORKDIR /src

COPY go.mod go.sum ./
RUN go mod download

COPY main.go ./
COPY api/ api/
COPY internal/ internal/
ARG VERSION=dev
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /manager .

# No shell, no packages; CA certificates and a user are all that is in it.
FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="dafty-operator" \
      org.opencontainers.image.description="Kubernetes operator for Dafty: images and videos as resources" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
COPY --from=build /manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
