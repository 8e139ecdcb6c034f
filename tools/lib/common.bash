# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # apt's $(FIELD) and commands for other shells; variables that callers read
#
# What the programs in tools/ share: messages, scratch directories that are removed whatever happens, root file
# systems of Debian kept in a cache, and cgroups for what runs in them.

TOOLS_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
SOURCE_DIR=$(dirname -- "$TOOLS_DIR")
DEFAULT_CACHE_DIR=/var/cache/nspawn-runner-tests

die() {
        printf '%s: %s\n' "${0##*/}" "$*" >&2
        exit 1
}

note() {
        printf '%s: %s\n' "${0##*/}" "$*" >&2
}

need_root() {
        (( EUID == 0 )) || die "must be run as root, because it makes root file systems and containers"
}

need_programs() {
        local program missing=()
        for program in "$@"; do
                command -v "$program" >/dev/null || missing+=("$program")
        done
        (( ${#missing[@]} == 0 )) ||
                die "not found: ${missing[*]}; 'tools/install-deps check' installs what is needed"
}

# Turns the name or number of a Debian release into its name.
suite_name() {
        case $1 in
        12|bookworm) echo bookworm ;;
        13|trixie) echo trixie ;;
        *) die "unknown Debian release '$1': bookworm (12) or trixie (13)" ;;
        esac
}

# Prints the suite of the machine this runs on.
host_suite() {
        # shellcheck disable=SC1091
        (. /etc/os-release && echo "${VERSION_CODENAME:-}")
}

# Prints lines for sources.list that give the suite $1 from where this machine's apt gets its own Debian,
# whatever the form of its configuration. Repositories of others are left out. For this question alone apt reads all its lists
# of packages; what it made of them it keeps in the directory $2, also where it is set up not to.
debian_sources() {
        local suite=$1 cache=$2 own uri release component origin found=no
        own=$(host_suite)
        mkdir -p "$cache"
        while IFS='|' read -r origin uri release component; do
                # The origin is known only once the repository's Release file was fetched.
                [[ $component == main && ( $origin == Debian || $origin == '$(ORIGIN)' ) ]] || continue
                case $release in
                "$own"|stable|oldstable) release=$suite; found=yes ;;
                "$own"-updates|stable-updates|oldstable-updates) release=$suite-updates ;;
                "$own"-security|stable-security|oldstable-security) release=$suite-security ;;
                *) continue ;;
                esac
                echo "deb $uri $release main"
        done < <(apt-get -o Dir::Cache="$cache" -o Dir::Cache::pkgcache=packages -o Dir::Cache::srcpkgcache=sources \
                        indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Identifier: Packages' |
                        sort -u)
        [[ $found == yes ]] || die "apt's configuration names no mirror of Debian for '$own' (see apt-get indextargets)"
}

# Prints the options of this machine's apt that say how to reach its mirror: proxies, certificates, dates, retries.
apt_network_options() {
        apt-config dump Acquire |
                grep -Ei '^Acquire::((https?|ftp)::|Check-(Valid-Until|Date)|Retries|ForceIPv[46]).* ".+";$' || true
}

# Makes a cgroup for the scratch directory in the unified hierarchy, where a container's systemd may make its own tree.
# Where systemd is in charge of cgroups, it is asked for a scope instead when the command is started.
make_cgroup() {
        local mount name=nspawn-runner-test-${SCRATCH_DIR##*/}
        if [[ -d /run/systemd/system ]]; then
                echo "$name.scope" >"$SCRATCH_DIR/scope"
                return
        fi
        for mount in /sys/fs/cgroup /sys/fs/cgroup/unified; do
                if [[ $(stat --file-system --format %T "$mount" 2>/dev/null) == cgroup2fs ]]; then
                        echo "$mount/$name" >"$SCRATCH_DIR/cgroup"
                        mkdir "$mount/$name" || die "cannot make a cgroup in $mount"
                        return
                fi
        done
        die "no cgroup v2 hierarchy is mounted on /sys/fs/cgroup or /sys/fs/cgroup/unified"
}

# Becomes the given command, in the scratch directory's cgroup.
exec_in_cgroup() {
        if [[ -e $SCRATCH_DIR/scope ]]; then
                exec systemd-run --quiet --scope --collect --unit="$(<"$SCRATCH_DIR/scope")" \
                        --property=Delegate=yes --property=TasksMax=infinity "$@"
        fi
        echo "$BASHPID" >"$(<"$SCRATCH_DIR/cgroup")/cgroup.procs"
        exec "$@"
}

# Kills what runs in the cgroup of the scratch directory $1.
kill_cgroup() {
        local cgroup
        if [[ -e $1/scope ]]; then
                systemctl kill --signal=KILL "$(<"$1/scope")" 2>/dev/null || true
        elif [[ -e $1/cgroup ]]; then
                cgroup=$(<"$1/cgroup")
                [[ ! -d $cgroup ]] || echo 1 >"$cgroup/cgroup.kill"
        fi
}

# Kills what runs in the cgroup of the scratch directory $1, and removes the cgroup. A scope is removed by systemd.
remove_cgroup() {
        local cgroup
        kill_cgroup "$1"
        [[ -e $1/cgroup ]] || return 0
        cgroup=$(<"$1/cgroup")
        [[ -d $cgroup ]] || return 0
        while [[ $(<"$cgroup/cgroup.events") == *"populated 1"* ]]; do
                sleep 0.02
        done
        find "$cgroup" -depth -type d -exec rmdir {} +
        # Where cgroup v1 is there too, systemd-nspawn makes a copy in systemd's own hierarchy.
        cgroup=/sys/fs/cgroup/systemd/${cgroup##*/}
        [[ ! -d $cgroup ]] || find "$cgroup" -depth -type d -exec rmdir {} +
}

# Detaches the loop devices whose backing file is below the directory $1. Whoever attached them may have been killed,
# and saw the file under another path: its device and inode number tell.
detach_loops() {
        local dir=$1 loop inode device found
        device=$(stat --format '%Hd:%Ld' "$dir")
        while read -r loop inode found; do
                [[ $found == "$device" ]] || continue
                if [[ -n $(find "$dir" -xdev -type f -inum "$inode" -print -quit) ]]; then
                        losetup --detach "$loop"
                fi
        done < <(losetup --list --noheadings --output NAME,BACK-INO,BACK-MAJ:MIN)
}

# Makes a scratch directory below $1 and leaves its path in SCRATCH_DIR. It belongs to the process that calls this and
# is locked for as long as that lives: those of dead processes are removed here.
SCRATCH_DIR=
make_scratch_dir() {
        local parent=$1/work dir sweep
        mkdir -p "$parent"
        # Between its creation and its lock a directory looks like one of the dead.
        exec {sweep}>"$parent/lock"
        flock "$sweep"
        for dir in "$parent"/*/; do
                if [[ -e $dir/lock ]] && flock --nonblock "$dir/lock" true; then
                        remove_scratch_dir "${dir%/}"
                fi
        done
        SCRATCH_DIR=$(mktemp -d "$parent/XXXXXXXX")
        exec {SCRATCH_LOCK}>"$SCRATCH_DIR/lock"
        flock "$SCRATCH_LOCK"
        exec {sweep}>&-
}

# Removes a directory that make_scratch_dir() made, with everything that runs in its cgroup.
remove_scratch_dir() {
        remove_cgroup "$1"
        detach_loops "$1"
        rm -rf --one-file-system "$1"
}

# Writes what lib/inside needs to the directory $1: runs the command with the variables of the array ENVIRONMENT, in
# the directory $2.
write_command() {
        local control=$1 directory=$2 assignment
        shift 2
        cp "$TOOLS_DIR/lib/inside" "$control/inside"
        {
                for assignment in "${ENVIRONMENT[@]}"; do
                        printf 'export %q\n' "$assignment"
                done
                printf 'cd %q || exit 125\n' "$directory"
                printf 'exec %s\n' "${*@Q}"
        } >"$control/command"
}

# Has lib/inside started when the root file system $1 is booted; $2 is the shell command that starts it.
add_command_unit() {
        local root=$1 start=$2 unit
        # Of no use here and at work just when somebody measures, or unable to do theirs in a container.
        for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
                e2scrub_reap.service console-getty.service systemd-modules-load.service; do
                ln -sf /dev/null "$root/etc/systemd/system/$unit"
        done
        cat >"$root/etc/systemd/system/test-command.service" <<END
[Unit]
Description=The command that this host was started for
After=multi-user.target

[Service]
ExecStart=/bin/sh -c '$start'
TimeoutStartSec=infinity
TasksMax=infinity
LimitNOFILE=1024:524288
IgnoreSIGPIPE=no
END
        mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
        ln -sf ../test-command.service "$root/etc/systemd/system/multi-user.target.wants/"
}

# Makes the named pipes stdout and stderr in the directory $1 and copies what comes out of them to ours. They are held
# open for reading and writing, so that nobody's opening waits for somebody who never comes.
open_streams() {
        mkfifo "$1/stdout" "$1/stderr"
        exec {HOLD_STDOUT}<>"$1/stdout" {HOLD_STDERR}<>"$1/stderr"
        (exec {HOLD_STDOUT}>&- {HOLD_STDERR}>&- {SCRATCH_LOCK}>&- {TREE_LOCK}>&-; exec cat "$1/stdout") &
        STREAM_READERS=($!)
        (exec {HOLD_STDOUT}>&- {HOLD_STDERR}>&- {SCRATCH_LOCK}>&- {TREE_LOCK}>&-; exec cat "$1/stderr" >&2) &
        STREAM_READERS+=($!)
}

# Runs the program that is the test host, in the scratch directory's cgroup and for $timeout seconds at most, with the
# streams of open_streams(). Leaves its exit status in HOST_STATUS.
run_host() {
        local limit=()
        [[ -z $timeout ]] || limit=(timeout --signal=KILL "$timeout")
        HOST_STATUS=0
        (
                exec {HOLD_STDOUT}>&- {HOLD_STDERR}>&- {SCRATCH_LOCK}>&- {TREE_LOCK}>&-
                exec_in_cgroup "${limit[@]}" "$@"
        ) </dev/null >"$SCRATCH_DIR/console" 2>&1 &
        HOST_PID=$!
        wait "$HOST_PID" 2>/dev/null || HOST_STATUS=$?
        HOST_PID=
        # Whoever still writes, if the limit ended the host.
        remove_cgroup "$SCRATCH_DIR"
        exec {HOLD_STDOUT}>&- {HOLD_STDERR}>&-
        wait "${STREAM_READERS[@]}"
}

# Leaves console and journal of the test host where the caller wants them, and exits as its command did. $1 is the
# directory that lib/inside worked in.
finish() {
        [[ -z $console ]] || cp "$SCRATCH_DIR/console" "$console"
        [[ -z $journal || ! -e $1/journal ]] || cp "$1/journal" "$journal"
        if [[ -e $1/status ]]; then
                exit "$(<"$1/status")"
        fi
        if [[ -n $timeout ]] && (( HOST_STATUS == 137 )); then
                note "the command did not end within $timeout s"
                exit 124
        fi
        tail -n 50 "$SCRATCH_DIR/console" >&2
        die "the host did not come up, or died before the command ended (status $HOST_STATUS)"
}

# Has everything removed when this process ends, or is told to.
end_cleanly() {
        HOST_PID=''
        trap remove_everything EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
}

# shellcheck disable=SC2317 # called by a trap
remove_everything() {
        local status=$?
        trap '' INT TERM HUP
        if [[ -n $HOST_PID ]]; then
                kill_cgroup "$SCRATCH_DIR"
                # Or bash would say that it was killed.
                wait "$HOST_PID" 2>/dev/null || true
        fi
        [[ -z $SCRATCH_DIR ]] || remove_scratch_dir "$SCRATCH_DIR"
        exit "$status"
}

# Makes the root file system $3 of suite $1 by mmdebstrap, whose options are the other arguments; $2 is the text of its
# sources.list. systemd makes its number when a tree is started.
install_debian() {
        local suite=$1 sources=$2 dir=$3 option options=()
        shift 3
        while read -r option; do
                options+=(--aptopt="$option")
        done < <(apt_network_options)
        mmdebstrap --quiet --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "${options[@]}" "$@" \
                "$suite" "$dir" - <<<"$sources"
        : >"$dir/etc/machine-id"
}

# Makes the root file system $4 of flavour $1 and suite $2; $3 is the text of its sources.list. Flavours:
#   bare   a minimal Debian with systemd and nothing else
#   host   a Debian with systemd and with what building and testing nspawn-runner needs
#   guest  the same for a virtual machine: a kernel, and no compiler
#   image  what jobs run in
make_tree() {
        local flavour=$1 suite=$2 sources=$3 dir=$4 groups='' args=()
        case $flavour in
        bare) args=("--include=systemd,systemd-sysv,dbus") ;;
        host) groups='run build test host' ;;
        guest)
                groups='run test host'
                args=("--include=linux-image-cloud-amd64,initramfs-tools,udev")
                # The kernel's packages make none then: the disk has one of ours.
                local -x INITRD=No
                ;;
        image)
                # It is copied often, and a third of its files would be these.
                args=("--include=git,ca-certificates,systemd,dbus,python3" --dpkgopt='path-exclude=/usr/share/doc/*'
                        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*')
                ;;
        esac
        if [[ -n $groups ]]; then
                # By the program that people are told to use: so that is what is tested.
                args+=(--customize-hook='copy-in '"$TOOLS_DIR"'/install-deps /root'
                        --customize-hook='chroot "$1" /root/install-deps '"$groups"
                        --customize-hook='rm "$1"/root/install-deps')
        fi
        install_debian "$suite" "$sources" "$dir" "${args[@]}"
        rm -f "$dir/var/lib/dbus/machine-id" "$dir/etc/hostname"
        [[ $flavour != guest ]] || make_disk "$dir"
}

# Makes the root file system $3 of suite $1 with what docs/recipes.md wants in its image; $2 as above.
make_recipes_tree() {
        install_debian "$@" --variant=apt --include="systemd,systemd-sysv,dbus,$(recipes_packages)"
}

# Makes the root file system $3 of suite $1 with what tests start as services, their clients, and what speaks to systemd
# on D-Bus; in /var/lib/packages those packages that a test installs there, and in its directory helper what a test adds
# to a helper image; $2 as above.
make_services_tree() {
        install_debian "$@" \
                --include="systemd,systemd-sysv,dbus,postgresql,mariadb-server,redis-server,nginx-light,curl" \
                --customize-hook='rm -f "$1"/var/cache/apt/archives/*.deb; chroot "$1" apt-get -qq -y --download-only install openssh-server systemd-resolved' \
                --customize-hook='mkdir "$1/var/lib/packages" && mv "$1"/var/cache/apt/archives/*.deb "$1/var/lib/packages"' \
                --customize-hook='chroot "$1" sh -c "cd /var/lib/packages && apt-get -qq download nginx nginx-common nginx-light"' \
                --customize-hook='chroot "$1" sh -c "mkdir /var/lib/packages/helper && cd /var/lib/packages/helper && apt-get -qq download git-lfs"' \
                --include=dbus-broker,polkitd,pkexec
}

# Makes the root file system $3 of suite $1 with what makes a Debian package of nspawn-runner, and what the package needs;
# $2 as above.
make_package_tree() {
        install_debian "$@" --include=systemd,systemd-sysv,dbus,python3,ccache \
                --customize-hook='copy-in '"$TOOLS_DIR"'/install-deps /root' \
                --customize-hook='chroot "$1" /root/install-deps run build package' \
                --customize-hook='rm "$1"/root/install-deps'
}

# Makes the root file system $3 of suite $1 with what the projects in tests/exec are built with; $2 as above.
make_projects_tree() {
        install_debian "$@" --include=git,gcc,libc6-dev,make,dpkg-dev,python3,tox,nodejs \
                --dpkgopt='path-exclude=/usr/share/doc/*'
}

# The function that makes trees of flavour $1.
tree_recipe() {
        case $1 in
        package | projects | recipes | services) echo "make_$1_tree" ;;
        *) echo make_tree ;;
        esac
}

# Prints what the trees of flavour $1 are made of, as far as the function does not say it.
list_packages() {
        case $1 in
        recipes) recipes_packages ;;
        bare | image | projects | services) ;;
        package) "$TOOLS_DIR/install-deps" --list run build package ;;
        *) "$TOOLS_DIR/install-deps" --list run build test host ;;
        esac
}

# Prints the packages that the definition in docs/recipes.md names, with commas between them.
recipes_packages() {
        sed -n '/nspawn_runner_packages: \[/,/\]/p' "$SOURCE_DIR/docs/recipes.md" | tr -d ' \n' |
                sed 's/.*\[//; s/\].*//'
}

# Makes the initial RAM disk $2 for the root file system $1. All it does is to go on with the disk: Debian's own, which prepares
# for any hardware, takes an emulated processor a quarter of the boot.
make_initrd() {
        local root=$1 initrd=$2 dir=$1/tmp/initrd version module
        version=$(basename "$root"/lib/modules/*)
        mkdir -p "$dir/dev" "$dir/root"
        cp "$root/bin/busybox" "$dir/busybox"
        echo '#!/busybox sh' >"$dir/init"
        while read -r _ module; do
                # Debian 13 compresses them.
                case $module in
                *.xz) xz --decompress --stdout "$root$module" ;;
                *) cat "$root$module" ;;
                esac >"$dir/$(basename "$module")"
                echo "/busybox insmod /$(basename "$module")" >>"$dir/init"
        done < <(chroot "$root" modprobe --set-version "$version" --show-depends --all virtio_pci virtio_blk |
                        awk '!seen[$0]++')
        cat >>"$dir/init" <<'END'
/busybox mount -t devtmpfs dev /dev
/busybox mount -t ext4 /dev/vda /root
/busybox mount --move /dev /root/dev
exec /busybox switch_root /root /sbin/init
END
        chmod +x "$dir/init"
        chroot "$root" sh -c 'cd /tmp/initrd && find . | busybox cpio -o -H newc' >"$initrd"
        rm -r "$dir"
}

# Turns the tree $1 into a directory with its kernel, initial RAM disk, and itself as a disk.
make_disk() {
        local dir=$1
        add_command_unit "$dir" \
                'mkdir /run/test && mount /dev/vdb /run/test && exec /run/test/inside /dev/ttyS1 /dev/ttyS2'
        mv "$dir" "$dir.tree"
        mkdir "$dir"
        cp "$dir.tree/boot"/vmlinuz-* "$dir/vmlinuz"
        make_initrd "$dir.tree" "$dir/initrd"
        truncate --size 6G "$dir/disk"
        mkfs.ext4 -q -d "$dir.tree" "$dir/disk"
        rm -rf --one-file-system "$dir.tree"
}

# Leaves in TREE the path of a root file system of flavour $2 and suite $3 below the cache directory $1, which is made
# unless it is there, and keeps others from removing it while this process lives. Whoever changes it must copy it first.
# Those of other recipes that nobody uses are removed after a day.
TREE=
get_tree() {
        local cache=$1 flavour=$2 suite=$3 recipe sources key lock old
        recipe=("$(tree_recipe "$flavour")" install_debian)
        [[ $flavour != guest ]] || recipe+=(make_disk make_initrd add_command_unit)
        sources=$(debian_sources "$suite" "$cache/apt")
        key=$({ list_packages "$flavour"; declare -f "${recipe[@]}"; echo "$sources"; } |
                sha256sum)
        TREE=$cache/$flavour-$suite-${key:0:12}
        mkdir -p "$cache"
        exec {lock}>"$cache/$flavour-$suite.lock"
        flock "$lock"
        while read -r old; do
                [[ $old == "$TREE" ]] || flock --nonblock "$old" rm -rf --one-file-system "$old" "$old.log" || true
        done < <(find "$cache" -maxdepth 1 -type d -name "$flavour-$suite-*" -mmin +1440)
        if [[ ! -e $TREE ]]; then
                rm -rf --one-file-system "$TREE".partial*
                note "making a root file system of $suite in $TREE"
                recipe=("$(tree_recipe "$flavour")")
                [[ ${recipe[0]} != make_tree ]] || recipe+=("$flavour")
                if ! "${recipe[@]}" "$suite" "$sources" "$TREE.partial" >"$TREE.log" 2>&1; then
                        tail -n 30 "$TREE.log" >&2
                        die "could not make the root file system of $suite (all of it: $TREE.log)"
                fi
                mv "$TREE.partial" "$TREE"
        fi
        touch "$TREE"
        exec {TREE_LOCK}<"$TREE"
        flock --shared "$TREE_LOCK"
        exec {lock}>&-
}
