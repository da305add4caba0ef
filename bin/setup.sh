# SPDX-License-Identifier: Apache-2.0
# The set-up that bin/hil does before a command: packages, the arm64 packages' tree, the build. Sourced, with $root (the
# repository) and $python set.

fail() {
    printf 'hil: %s\n' "$@" >&2
    exit 4
}

interrupted() {
    printf 'hil: interrupted during the set-up; the next command goes on where this one was\n' >&2
    exit 130
}
# Package names of packages.txt; the part headed "# Test" only when the tests are to run.
wanted_packages() {
    awk -v tests="$1" '/^# Test/ { if (!tests) exit } /^[^#[:space:]]/ { print $1 }' "$root/packages.txt"
}

missing_packages() {
    local wanted
    mapfile -t wanted < <(wanted_packages "$1")
    comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
        <(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^ii *//p' | sort -u)
}

install_packages() {
    local missing sudo=()
    mapfile -t missing < <(missing_packages "$1")
    [ ${#missing[@]} -eq 0 ] && return 0
    command -v apt-get >/dev/null || fail "these Debian packages are missing: ${missing[*]}" \
        "and there is no apt-get here: hil's set-up needs Debian 12"
    echo "hil: installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
            sudo=(sudo)
        else
            fail "not root and no usable sudo. Have somebody who may type:" \
                "  apt-get update && apt-get install --no-install-recommends -y ${missing[*]}"
        fi
    fi
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2 || fail "apt-get update failed (its output is above)"
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2 ||
        fail "apt-get install failed (its output is above); the packages were: ${missing[*]}"
}

# Runs a build step quietly when it succeeds, with its whole output when not.
step() {
    local title=$1 log
    shift
    log=$root/build/logs/${title// /-}.log
    mkdir -p "$(dirname "$log")" || fail "cannot write below $root/build"
    [ -t 2 ] && printf 'hil: %s …\r' "$title" >&2
    local start=$SECONDS
    if ! "$@" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        fail "$title failed after $((SECONDS - start)) s; the whole output: $log"
    fi
    if [ $((SECONDS - start)) -ge 2 ]; then
        printf 'hil: %s: %s s\n' "$title" $((SECONDS - start)) >&2
    elif [ -t 2 ]; then
        printf '\033[K' >&2
    fi
}

configure() {
    cmake -S "$root" -B "$root/build/host" -G Ninja -DHIL_KERNEL_BUILD="$1"
}

# What the set-up hangs on beside the files of the repository.
circumstances() {
    echo "$root" "${HOME-}" "${XDG_CACHE_HOME-}" "${HIL_CACHE-}" "${HIL_DEBIAN_MIRROR-}" "${HIL_DEBIAN_SECURITY_MIRROR-}"
}

# Whether the set-up for $1 was finished and nothing has changed since: no file of the repository (against the time when the
# build began), no directory of the build (a product that somebody removed), no installed package.
up_to_date() (
    cd "$root" && [ -f "build/began-$1" ] && [ "$(<"build/began-$1")" = "$(circumstances)" ] || return 1
    [ -e build/kernel-build/Module.symvers ] && [ ! /var/lib/dpkg/status -nt "build/began-$1" ] || return 1
    [ -z "$(find . \( -path './.*' -o -path ./runs -o -path ./build \) -prune -o -newer "build/began-$1" -print -quit 2>&1)" ] &&
        [ -z "$(find build -mindepth 1 \( -name logs -o -name pycache \) -prune -o -type d -newer "build/built-$1" -print -quit 2>&1)" ]
)

build() {
    if ! mkdir -p "$root/build" 2>/dev/null || ! [ -w "$root/build" ]; then
        fail "cannot write below $root/build, which belongs to $(stat -c %U "$root")" \
            "run as that user, or clone the repository to a place of your own"
    fi
    exec 9>"$root/build/lock"
    flock 9 # two runs at once: the second waits for the first one's build
    local kernel_build=$root/build/kernel-build
    circumstances >"$root/build/begins" || fail "cannot write $root/build/begins"
    step "unpack arm64 packages" "$python" -m hil.root_image --kernel-build-link "$kernel_build"
    if [ ! -f "$root/build/host/build.ninja" ]; then
        step "configure" configure "$kernel_build"
    fi
    step "build" ninja -C "$root/build/host" "$1"
    mv "$root/build/begins" "$root/build/began-$1"
    touch "$root/build/built-$1"
    flock -u 9
}
