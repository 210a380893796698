# Sourced by the builders of disk images. Everything is written into plain
# files: no loop device, no mount, no root is needed for the disk itself.

die() { echo "${0##*/}: $*" >&2; exit 1; }

# want COMMAND-OR-FILE PACKAGE ...: stop and name the packages that are missing.
want() {
    local missing=()
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null || [ -e "$1" ] || missing+=("$2")
        shift 2
    done
    [ ${#missing[@]} = 0 ] || die "missing; apt-get install -y --no-install-recommends ${missing[*]}"
}

# apt_lists: make sure that apt knows what Debian has.
apt_lists() {
    apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1 && return
    [ "$(id -u)" = 0 ] || die "apt knows no linux-image-cloud-amd64; run: sudo apt-get update"
    apt-get -q update >&2 || die "apt-get update failed"
}

# little VALUE BYTES: VALUE as little-endian bytes.
little() {
    local i
    for ((i = 0; i < $2; i++)); do printf "\\x$(printf %02x $(($1 >> (8 * i) & 255)))"; done
}

# patch FILE OFFSET: overwrite FILE with the bytes of standard input.
patch() { dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# place FILE DISK OFFSET: copy FILE into DISK, leaving holes where FILE has them.
place() { dd if="$1" of="$2" bs=64K seek="$3" oflag=seek_bytes conv=notrunc,sparse status=none; }

grub_modules="part_gpt ext2 normal linux echo serial terminal search search_label search_fs_uuid gzio configfile"

# grub_bios DISK LBA SECTORS PREFIX: GRUB for BIOS machines, its core at LBA
# in a room of SECTORS. The two places where grub-bios-setup would write block
# lists are patched by hand, because that program insists on a block device:
# boot.img holds the core's first sector at 0x5c, and the core's own first
# sector ends in a list (sector, count, segment) of the rest of it.
grub_bios() {
    local disk=$1 lba=$2 room=$3 prefix=$4 dir=/usr/lib/grub/i386-pc core sectors
    core=$(mktemp)
    # shellcheck disable=SC2086
    grub-mkimage -O i386-pc -d $dir -p "$prefix" -o "$core" biosdisk $grub_modules
    sectors=$((($(stat -c %s "$core") + 511) / 512))
    [ $sectors -le "$room" ] || die "GRUB needs $sectors sectors, there are $room"
    { little $((lba + 1)) 8; little $((sectors - 1)) 2; little $((0x820)) 2; } | patch "$core" $((0x1f4))
    head -c 440 $dir/boot.img | patch "$disk" 0
    little "$lba" 8 | patch "$disk" $((0x5c))
    little 255 1 | patch "$disk" $((0x64))     # boot drive: what the BIOS says
    little $((0x9090)) 2 | patch "$disk" $((0x66)) # no jump over it
    place "$core" "$disk" $((lba * 512))
    rm -f "$core"
}

# grub_efi DISK LBA SECTORS SERIAL SCRIPT: an EFI system partition whose GRUB
# runs SCRIPT.
grub_efi() {
    local disk=$1 lba=$2 sectors=$3 serial=$4 script=$5 dir
    dir=$(mktemp -d)
    printf '%s\n' "$script" >"$dir/start.cfg"
    # shellcheck disable=SC2086
    grub-mkimage -O x86_64-efi -d /usr/lib/grub/x86_64-efi -p /EFI/BOOT -c "$dir/start.cfg" \
        -o "$dir/BOOTX64.EFI" fat efi_gop $grub_modules
    truncate -s $((sectors * 512)) "$dir/esp"
    touch -d @"$SOURCE_DATE_EPOCH" "$dir/BOOTX64.EFI"
    mkfs.fat --invariant -n ESP -i "$serial" "$dir/esp" >/dev/null
    mmd -i "$dir/esp" ::/EFI ::/EFI/BOOT
    mcopy -m -i "$dir/esp" "$dir/BOOTX64.EFI" ::/EFI/BOOT/BOOTX64.EFI
    place "$dir/esp" "$disk" $((lba * 512))
    rm -rf "$dir"
}

# gpt_disk DISK SIZE BIOS_SECTORS EFI_SECTORS DISK_ID ROOT_ID: an empty disk
# with partition 14 for GRUB's core, 15 for EFI and 1 for the root, last so
# that it can grow. Sets bios_at, efi_at, root_at (sectors) and root_sectors.
gpt_disk() {
    local disk=$1 end
    rm -f "$disk"
    truncate -s "$2" "$disk"
    bios_at=2048 efi_at=$((2048 + $3)) root_at=$(((2048 + $3 + $4 + 2047) / 2048 * 2048))
    end=$(($(stat -c %s "$disk") / 512 - 34))
    root_sectors=$(((end - root_at) / 8 * 8))
    sfdisk -q "$disk" <<T
label: gpt
label-id: $5
14 : start=$bios_at, size=$3, type=21686148-6449-6E6F-744E-656564454649, uuid=${5%?}e
15 : start=$efi_at, size=$4, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=${5%?}f
1 : start=$root_at, size=$root_sectors, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=$6
T
}

# ext4_root DISK TREE LABEL UUID OPTIONS...: the folder TREE as an ext4 in the
# partition that gpt_disk set. The same tree gives the same bytes.
ext4_root() {
    local disk=$1 tree=$2 label=$3 uuid=$4
    shift 4
    E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -b 4096 -O ^orphan_file,^metadata_csum_seed "$@" -L "$label" -U "$uuid" \
        -E "offset=$((root_at * 512)),hash_seed=$uuid,lazy_itable_init=0,lazy_journal_init=0" \
        -d "$tree" "$disk" $((root_sectors / 8)) || die "the root does not fit on the disk: raise --size"
    # Change times are those of this build, and access times of its reading.
    local used
    used=$(dumpe2fs -h "$disk?offset=$((root_at * 512))" 2>/dev/null |
        awk -F ': *' '/^Inode count/ {n = $2} /^Free inodes/ {n -= $2} END {print n}')
    seq 2 "$used" | awk -v t=$SOURCE_DATE_EPOCH '$1 == 2 || $1 > 10 {
            print "sif <" $1 "> ctime @" t "\nsif <" $1 "> ctime_extra 0\nsif <" $1 "> atime @" t "\nsif <" $1 "> atime_extra 0"}' |
        edit_ext4 "$disk" $((root_at * 512))
}

# edit_ext4 DISK OFFSET < COMMANDS: run debugfs commands on the ext4 there,
# without a mount. debugfs goes on after an error, so its words are searched.
edit_ext4() {
    local said
    said=$(E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH debugfs -w -f /dev/stdin "$1?offset=$2" 2>&1 |
        grep -vE '^debugfs|^Allocated inode|^$' || true)
    [ -z "$said" ] || die "debugfs: $(head -n 3 <<<"$said")"
}

export SOURCE_DATE_EPOCH=1700000000 MTOOLS_SKIP_CHECK=1
