# SPDX-License-Identifier: GPL-2.0-or-later
# Where Debian's packages come from: the mirror of the host's own apt configuration, else
# deb.debian.org; and a private apt state per release, so that the host's package lists and
# architecture of releases do not matter. Sourced by tests/vm/prepare.
# shellcheck shell=bash

# mirror_of LABEL FALLBACK: the URI of the host's archive with that label (Debian, Debian-Security).
mirror_of() {
	local uri
	# The dollar signs are apt's.
	# shellcheck disable=SC2016
	uri=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk -F'|' -v label="$1" '$1 == label { print $2; exit }')
	printf '%s' "${uri:-$2}"
}

# sources_of RELEASE...: one-line sources of these releases ("trixie" brings its updates and security).
sources_of() {
	local main security release
	local signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
	main=$(mirror_of Debian http://deb.debian.org/debian/)
	security=$(mirror_of Debian-Security http://deb.debian.org/debian-security/)
	for release in "$@"; do
		echo "deb $signed $main $release main"
		[[ $release == *-backports ]] && continue
		echo "deb $signed $main $release-updates main"
		echo "deb $signed $security $release-security main"
	done
}

# The host's settings on how to reach an archive (proxy, certificates, frozen mirrors).
access_settings() {
	apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries|Check-)' | grep -v '::$' || true
}

# private_apt DIR RELEASE...: an apt state of its own under DIR; use it with APT_CONFIG=DIR/apt.conf.
private_apt() {
	local dir=$1
	shift
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/parts"
	: >"$dir/status"
	sources_of "$@" >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-END
		$(access_settings)
		Dir::State "$dir";
		Dir::State::lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir/cache";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "$dir/parts";
		Dir::Etc::parts "$dir/parts";
		Dir::Etc::main "$dir/parts/none";
		APT::Architecture "amd64";
		APT::Architectures "amd64";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
	END
	APT_CONFIG=$dir/apt.conf apt-get -q -q update
}

# debootstrap_tree DIR VARIANT LIST: a trixie tree in DIR holding the packages of LIST.
debootstrap_tree() {
	local dir=$1 variant=$2 list=$3 settings
	settings=$(mktemp)
	access_settings >"$settings"
	sources_of trixie | mmdebstrap --quiet --mode=root --variant="$variant" --architectures=amd64 \
		--aptopt="$settings" \
		--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
		--include="$(packages_of "$list" | paste -sd,)" trixie "$dir" - >&2
	rm -f "$settings"
}
