# docker build -t simbert . && docker run -p 8080:8080 -v simbert:/data simbert
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY script/bootstrap script/bootstrap
RUN script/bootstrap
COPY . .
RUN make -s -j"$(nproc)" all && make -s install DESTDIR=/out PREFIX=/usr

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libmicrohttpd12 libcjson1 libsqlite3-0 libpq5 libutf8proc2 libsentencepiece0 zlib1g libsnappy1v5 liblzma5 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --no-create-home --uid 10001 simbert \
    && install -d -o simbert -g simbert /data
COPY --from=build /out/usr /usr
USER simbert
WORKDIR /data
ENV SIMBERT_HOST=0.0.0.0 SIMBERT_PORT=8080 SIMBERT_DATA=/data SIMBERT_MODEL=/usr/share/simbert/models/simbert-small-zh
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$SIMBERT_PORT && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["simbert"]
CMD ["serve"]
