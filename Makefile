# A thin wrapper: each target installs what it needs, then lets cmake, ctest or a script do the job.
#
#   make run              the built-in HTTP worker, one per core, on port 8080
#   make run APP=FILE     a program of yours instead, e.g. APP=examples/hello.js
#   make test             all tests, in the release build and again under the sanitizers
#   make test-node        the Node tests with Node 18, 20, 22 and 24
#   make test-servers     real servers of all kinds under Baton; docs/servers.md has the table
#   make test-pm2         the same commands under pm2 and under Baton, compared
#   make soak             100 reloads, 200 kills and 50 scales under load, and longer loads
#   make faults           every allocation and system call of the daemon made to fail (an hour)
#   make bench            the benchmark's tables
#   make lint             clang without warnings, clang-tidy, the formatter, the man pages
#   make format           rewrites the sources as the formatter wants them
#   make fuzz             libFuzzer on every target, FUZZ_SECONDS each
#   make coverage         which lines the tests reach, in build/coverage/index.html
#   make install          into PREFIX (/usr/local)

MAKEFLAGS += --no-print-directory

PORT ?= 8080
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
JOBS ?= $(shell nproc)
BATON = build/release/baton
# Tests wait more than they compute, so there are two for each processor.
CTEST = ctest --output-on-failure --no-tests=error -j $(shell expr 2 '*' $(JOBS))
SOURCES = $(shell git ls-files '*.c' '*.h')

.PHONY: run build test test-release test-asan test-node test-servers test-pm2 soak faults bench lint format fuzz coverage install clean

run: build
ifdef APP
	@scripts/install-packages node
	@echo "Starting $(APP) with a worker per core; its PORT is $(PORT)."
	@echo "Then try: curl http://localhost:$(PORT)/ ; kill -9 a worker; kill -HUP the master. Ctrl-C ends it."
	@PORT=$(PORT) exec $(BATON) run $(APP) -i max
else
	@echo "Open http://localhost:$(PORT)/ in a browser, or try: curl http://localhost:$(PORT)/whoami"
	@echo "Next: make run APP=examples/hello.js, or $(BATON) run --help. Ctrl-C ends it."
	@exec $(BATON) serve examples/site $(PORT) -i max
endif

# The tests are configured only where they are wanted, so that `make run` needs no test libraries.
build:
	@scripts/install-packages build
	@cmake --preset release --log-level=WARNING $(if $(wildcard build/release/CMakeCache.txt),,-DBATON_TESTS=OFF)
	@cmake --build --preset release -j $(JOBS) \
		--target baton baton_preload baton_worker_shared baton_worker_static poll_worker uv_worker

test: test-release test-asan

test-release:
	@scripts/install-packages build test node
	cmake --preset release --log-level=WARNING -DBATON_TESTS=ON
	cmake --build --preset release -j $(JOBS)
	cd build/release && $(CTEST)

test-asan:
	@scripts/install-packages build test node
	cmake --preset asan --log-level=WARNING
	cmake --build --preset asan -j $(JOBS)
	cd build/asan && $(CTEST)

test-node: build
	@scripts/install-packages test node
	scripts/test-node

test-servers: build
	@scripts/install-packages test node servers
	scripts/test-servers $(SERVERS_OPTIONS)

test-pm2: build
	@scripts/install-packages test node
	scripts/test-pm2 $(PM2_OPTIONS)

soak: build
	@scripts/install-packages test node
	BATON_SOAK=1 BATON_REQUESTS=5000 PYTHONDONTWRITEBYTECODE=1 BATON=$(CURDIR)/$(BATON) \
		/usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/system/test_daemon_soak.py \
		tests/system/test_daemon_reload.py tests/system/test_daemon_renewal.py \
		tests/system/test_native_death.py

# BATON_FAULTS_PART=1/2 is the first of two halves, which may run side by side.
faults: build
	@scripts/install-packages test node
	BATON_FAULTS=all PYTHONDONTWRITEBYTECODE=1 BATON=$(CURDIR)/$(BATON) \
		/usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/system/test_daemon_faults.py

bench:
	@scripts/install-packages build node
	@scripts/install-bench
	cmake --preset release --log-level=WARNING $(if $(wildcard build/release/CMakeCache.txt),,-DBATON_TESTS=OFF)
	cmake --build --preset release -j $(JOBS) --target bench --target policy_bench
	/usr/bin/python3 bench/run.py $(BENCH_OPTIONS)
	/usr/bin/python3 bench/daemon_run.py $(DAEMON_BENCH_OPTIONS)

lint:
	@scripts/install-packages build test lint
	clang-format --dry-run --Werror $(SOURCES)
	cmake --preset clang --log-level=WARNING
	cmake --build --preset clang -j $(JOBS)
	clang-tidy --quiet -p build/clang $(filter src/%.c,$(SOURCES))
	mandoc -T lint -W warning man/*.1 man/*.3

format:
	clang-format -i $(SOURCES)

fuzz:
	@scripts/install-packages build fuzz
	cmake --preset fuzz --log-level=WARNING
	cmake --build --preset fuzz -j $(JOBS)
	scripts/fuzz build/fuzz $(FUZZ_SECONDS)

coverage:
	@scripts/install-packages build test node coverage
	cmake --preset coverage --log-level=WARNING
	cmake --build --preset coverage -j $(JOBS)
	cd build/coverage && $(CTEST)
	gcovr --root . --filter src/ --html-details build/coverage/index.html --print-summary build/coverage

install: build
	cmake --install build/release --prefix $(PREFIX)

clean:
	rm -rf build
