# make, make test, make MODE=asan test, make MODE=tsan test, make fuzz [FUZZ_TIME=60], make install [PREFIX= DESTDIR=]
# One static library a room; each links only what the arrows of docs/design.md allow, so a wrong dependency fails to link.

MODE ?= release
B ?= $(if $(filter release,$(MODE)),build,build/$(MODE))

CC ?= gcc
CXX ?= g++
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CXX := $(if $(filter default,$(origin CXX)),g++,$(CXX))

WARN := -Wall -Wextra -Wshadow -Wconversion -Werror
OPT_release := -O3
# -fexpensive-optimizations: without it GCC forms no fused multiply-adds at -O1, and kernels that promise equal bits differ.
OPT_asan := -O1 -fexpensive-optimizations -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan := -O1 -fexpensive-optimizations -fsanitize=thread -fno-omit-frame-pointer
OPT_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT := -g $(OPT_$(MODE))
VERSION := 0.1.0
CPPFLAGS += -I. -D_GNU_SOURCE -DSB_VERSION='"$(VERSION)"'
# -ffp-contract is GCC's default for gnu11, written down because the kernels rely on fused multiply-add; -fno-math-errno
# lets loops over sqrtf vectorise and changes no result.
CFLAGS += -std=gnu11 $(OPT) $(WARN) -ffp-contract=fast -fno-math-errno -pthread -MMD -MP
CXXFLAGS += -std=gnu++17 $(OPT) -Wall -Wextra -Wshadow -Werror -pthread -MMD -MP
LDFLAGS += $(OPT) -pthread

ROOMS := base kernels tokenizer weights model training study retrieval server cli
uses_base := base
uses_kernels := kernels base
uses_tokenizer := tokenizer base
uses_weights := weights base
uses_model := model tokenizer weights kernels base
uses_training := training model tokenizer weights kernels base
uses_study := study training model tokenizer weights kernels base
uses_retrieval := retrieval kernels base
uses_server := server training retrieval model tokenizer weights kernels base
uses_cli := cli study $(uses_server)

# Collections in PostgreSQL: built where there is libpq.
libpq := $(shell pkg-config --libs libpq 2> /dev/null)
libpq_flags := $(shell pkg-config --cflags libpq 2> /dev/null)
parts_retrieval := $(if $(libpq),retrieval/postgres)
parts_model := model/attention
$(B)/obj/retrieval/engine.o: CPPFLAGS += $(if $(libpq),-DSB_HAVE_LIBPQ)
$(B)/obj/retrieval/postgres/%.o: CPPFLAGS += $(libpq_flags)

system_base := -lcjson -lutf8proc -lm
system_kernels :=
system_tokenizer := -lsentencepiece -lstdc++
system_weights := -lz -lsnappy -lstdc++
system_model :=
system_training := -llzma -lz
system_study :=
system_retrieval := -lsqlite3 -lstdc++ $(libpq)
system_server := -lmicrohttpd
system_cli :=

# Data-parallel training: a module that the program loads when mpirun starts it. Built where there is an MPI.
MPICC ?= $(shell command -v mpicc)
MODULES := $(if $(MPICC),$(B)/simbert-mpi.so)

.SECONDARY:
.PHONY: all test unit threaded fuzz fuzzers install clean
all: $(B)/simbert $(MODULES)

# Kernel variants: the file says which instructions it may use; sb_cpu() decides whether it runs.
ifeq ($(shell uname -m),x86_64)
$(B)/obj/kernels/avx2_%.o: CFLAGS += -mavx2 -mfma -mf16c
$(B)/obj/kernels/avx512_%.o: CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512
$(B)/obj/kernels/avx512_bf16_%.o: CFLAGS += -mavx512bf16
$(B)/obj/kernels/avx512_vnni_%.o: CFLAGS += -mavx512vnni
endif

# hnswlib copies no bytes from an empty list, by memcpy.
$(B)/obj/retrieval/graph.o: CXXFLAGS += -fno-sanitize=nonnull-attribute

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@
$(B)/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@

TEST_SUPPORT := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/unit/*.c))

# Without libFuzzer a fuzz target replays its corpus.
fuzz_main := $(if $(filter fuzz,$(MODE)),,$(B)/obj/tests/fuzz/replay.o)

define room
objects_$(1) := $$(patsubst %,$(B)/obj/%.o,$$(basename $$(wildcard $(1)/*.c $(1)/*.cc $(addsuffix /*.c,$(parts_$(1))))))
$(B)/lib$(1).a: $$(objects_$(1))
	@rm -f $$@
	$$(AR) rcs $$@ $$^
libraries_$(1) := $$(patsubst %,$(B)/lib%.a,$$(uses_$(1)))
system_libraries_$(1) := $$(foreach r,$$(uses_$(1)),$$(system_$$(r)))
tests_$(1) := $$(patsubst tests/unit/$(1)/%.c,$(B)/tests/$(1)/%,$$(wildcard tests/unit/$(1)/test_*.c))
$(B)/tests/$(1)/%: $(B)/obj/tests/unit/$(1)/%.o $(TEST_SUPPORT) $$(libraries_$(1))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(system_libraries_$(1)) -lcheck -lsubunit -lrt -lm
fuzzers_$(1) := $$(patsubst tests/fuzz/$(1)/%.c,$(B)/fuzz/$(1)/%,$$(wildcard tests/fuzz/$(1)/fuzz_*.c))
$(B)/fuzz/$(1)/%: $(B)/obj/tests/fuzz/$(1)/%.o $(fuzz_main) $$(libraries_$(1))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) $(if $(fuzz_main),,-fsanitize=fuzzer) -o $$@ $$^ $$(system_libraries_$(1)) -lm
endef
$(foreach r,$(ROOMS),$(eval $(call room,$(r))))

TESTS := $(foreach r,$(ROOMS),$(tests_$(r)))
FUZZERS := $(foreach r,$(ROOMS),$(fuzzers_$(r)))

$(B)/simbert: $(libraries_cli)
	$(CC) $(LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(system_libraries_cli)

$(B)/simbert-mpi.so: training/mpi/module.c training/parallel_backend.h
	@mkdir -p $(@D)
	$(MPICC) $(CPPFLAGS) -std=gnu11 -O2 -g $(WARN) -fPIC -shared -o $@ $<

unit: $(TESTS) $(FUZZERS)
# What ThreadSanitizer should see: the pool, the log, and all that runs on several threads.
threaded: $(B)/tests/base/test_pool $(B)/tests/base/test_log $(tests_kernels) $(tests_model) $(tests_training) \
	$(tests_retrieval) $(tests_server)
test: all unit
	script/run-tests $(B)

# Each target for FUZZ_TIME seconds. Finds land in build/fuzz; those worth keeping are copied to tests/fuzz by hand.
FUZZ_TIME ?= 60
fuzz:
	$(MAKE) MODE=fuzz CC=clang CXX=clang++ WARN=-Wall fuzzers
	set -e; cd tests/fuzz; for corpus in */corpus/fuzz_*; do \
		room=$${corpus%%/*} name=$${corpus##*/} out=../../build/fuzz; mkdir -p $$out/corpus/$$name; \
		$$out/fuzz/$$room/$$name -max_total_time=$(FUZZ_TIME) -artifact_prefix=$$out/ $$out/corpus/$$name $$corpus; \
	done
fuzzers: $(FUZZERS)

PREFIX ?= /usr/local
install: all
	install -D -m 755 $(B)/simbert $(DESTDIR)$(PREFIX)/bin/simbert
	install -d $(DESTDIR)$(PREFIX)/share/simbert
	$(if $(MODULES),install -D -m 755 $(MODULES) $(DESTDIR)$(PREFIX)/lib/simbert/simbert-mpi.so)
	cp -R models $(DESTDIR)$(PREFIX)/share/simbert/

clean:
	rm -rf build

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
