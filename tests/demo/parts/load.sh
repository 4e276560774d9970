# SPDX-License-Identifier: GPL-2.0-or-later
# The application of the demo: a database of customers and purchases, sqlite3 as Debian has it. The
# same statements run on the plain HDD and on the cached one, with little memory, so that most of
# what is read comes from the disks. Sourced by tests/demo/guest.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154  # names of results are words, not variables

customers=120000
rounds=150		# one transaction and four lookups each
memory_bytes=$((20 << 20))

# A database of about 50 MiB, made once in memory and copied.
make_database() {
	sqlite3 /tmp/shop.db <<-EOF
		CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, notes TEXT,
				       balance INTEGER);
		CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER, amount INTEGER,
				       text TEXT);
		CREATE INDEX purchase_customer ON purchase (customer);
		BEGIN;
		INSERT INTO customer
			WITH RECURSIVE n(i) AS
				(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $customers)
			SELECT i, printf('customer %06d', i), hex(randomblob(180)), 0 FROM n;
		COMMIT;
	EOF
}

# The statements: customers are chosen by a skewed distribution, the popular ones spread over the
# table. One line is one measurement.
write_statements() {
	awk -v rounds=$rounds -v customers=$customers '
		function customer() {
			return 1 + (int(customers * rand() ^ 3) * 7919) % customers
		}
		BEGIN {
			srand(1)
			print ".timer on"
			for (i = 0; i < rounds; i++) {
				c = customer()
				printf "BEGIN; INSERT INTO purchase (customer, amount, text)" \
					" VALUES (%d, %d, hex(randomblob(100)));" \
					" UPDATE customer SET balance = balance + 1 WHERE id = %d;" \
					" COMMIT;\n", c, i, c
				for (j = 0; j < 4; j++)
					printf "SELECT length(notes), balance FROM customer" \
						" WHERE id = %d;\n", customer()
			}
		}' >/tmp/statements.sql
}

# The page cache of what runs here counts as its memory.
make_memory_limit() {
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir -p /sys/fs/cgroup/demo
	echo $memory_bytes >/sys/fs/cgroup/demo/memory.max
}

# latencies FILE transaction|lookup PERCENTILE: from the lines of sqlite3's timer, where every fifth
# is a transaction.
latencies() {
	awk -v kind="$2" '/^Run Time/ {
			if ((n++ % 5 == 0) == (kind == "transaction"))
				print $4
		}' "$1" | sort -n | awk -v p="$3" '{ v[NR] = $1 }
			END { i = int(NR * p / 100); printf "%.0f ms", 1000 * v[i < 1 ? 1 : i] }'
}

statements_done() { echo "$(grep -c '^Run Time' "$1") of $((rounds * 5)) statements"; }

# run_load NAME DISK DIRECTORY: fills the array $1 of results.
run_load() {
	local -n result=$1
	local disk=$2 directory=$3 begin name before after
	local -A counters=()
	forget_page_cache
	for name in reads writes flushes seeks; do
		counters[$name]=$(counter "$disk" $name)
	done
	begin=$(now_ns)
	(
		echo $BASHPID >/sys/fs/cgroup/demo/cgroup.procs
		exec timeout 300 sqlite3 -bail "$directory/shop.db"
	) </tmp/statements.sql >"/tmp/load.$1" 2>&1 &
	progress_of $! statements_done "/tmp/load.$1" ||
		failed "sqlite3 in $directory: $(grep -v 'Run Time' "/tmp/load.$1" | tail -n 3)"
	result[seconds]=$(seconds_since "$begin")
	for name in reads writes flushes seeks; do
		before=${counters[$name]} after=$(counter "$disk" $name)
		result["$name"]=$((after - before))
	done
	result[rate]=$(awk -v s="${result[seconds]}" -v n=$((rounds * 5)) \
		'BEGIN { printf "%.0f/s", n / s }')
	result[t50]=$(latencies "/tmp/load.$1" transaction 50)
	result[t99]=$(latencies "/tmp/load.$1" transaction 99)
	result[l50]=$(latencies "/tmp/load.$1" lookup 50)
	result[l99]=$(latencies "/tmp/load.$1" lookup 99)
}

row() { printf '  %-34s %14s %14s\n' "$1" "$2" "$3"; }

hits() { echo $(($(cache_status read_hits) + $(cache_status write_hits))); }
misses() { echo $(($(cache_status read_misses) + $(cache_status write_misses))); }

# Both must have done the same work.
compare_contents() {
	local query='SELECT count(*), sum(amount) FROM purchase; SELECT sum(balance) FROM customer;'
	local a b
	a=$(sqlite3 /mnt/plain/shop.db "$query" 2>&1)
	b=$(sqlite3 /mnt/cached/shop.db "$query" 2>&1)
	[[ $a == "$b" && $a == $rounds\|* ]] ||
		failed "expected $rounds purchases in both databases, found '$a' in the plain one," \
			"'$b' in the cached one"
	good "both databases hold the same $rounds purchases"
	bounded 60 umount /mnt/plain
}

compare_database_loads() {
	local -A plain=() cached=()
	local hits_before misses_before hits_now misses_now
	make_database
	write_statements
	make_memory_limit
	bounded 120 cp /tmp/shop.db /mnt/plain/
	bounded 120 cp /tmp/shop.db /mnt/cached/
	info "a database of $(($(stat -c %s /tmp/shop.db) >> 20)) MiB on both; $rounds transactions and" \
		"$((rounds * 4)) lookups, $((memory_bytes >> 20)) MiB of memory"
	rm /tmp/shop.db
	forget_page_cache
	set_speed real
	info "now without the cache ..."
	run_load plain plain /mnt/plain
	info "now with the cache ..."
	hits_before=$(hits) misses_before=$(misses)
	run_load cached hdd /mnt/cached
	hits_now=$(($(hits) - hits_before)) misses_now=$(($(misses) - misses_before))
	set_speed fast
	row "" "HDD alone" "HDD + cache"
	row "time" "${plain[seconds]} s" "${cached[seconds]} s"
	row "statements" "${plain[rate]}" "${cached[rate]}"
	row "transaction, median" "${plain[t50]}" "${cached[t50]}"
	row "transaction, 99th percentile" "${plain[t99]}" "${cached[t99]}"
	row "lookup, median" "${plain[l50]}" "${cached[l50]}"
	row "lookup, 99th percentile" "${plain[l99]}" "${cached[l99]}"
	row "hits of the cache" "-" "$(percentage $hits_now $((hits_now + misses_now)))"
	row "HDD: reads" "${plain[reads]}" "${cached[reads]}"
	row "HDD: writes" "${plain[writes]}" "${cached[writes]}"
	row "HDD: flushes" "${plain[flushes]}" "${cached[flushes]}"
	row "HDD: seeks" "${plain[seeks]}" "${cached[seeks]}"
	info "(times under emulation are illustrative; operations of the HDD are counted exactly)"
	compare_contents
}
