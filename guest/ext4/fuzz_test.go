package ext4_test

import (
	"path/filepath"
	"testing"

	"kuva/guest/ext4"
	"kuva/guest/guesttest"
	"kuva/internal/testkit/loopfs"
)

// seeds are small file systems with something of everything. The first was
// copied while it was mounted, so that it has a journal to replay.
func seeds(t testing.TB) []*guesttest.Image {
	return []*guesttest.Image{
		guesttest.Seed(t, "journal", func() string {
			image := mke2fs(t, 4<<20, "-b", "1024", "-J", "size=1", "-O", "has_journal,dir_index,filetype,ext_attr,metadata_csum,64bit,extents,inline_data,extra_isize")
			dirty := filepath.Join(t.TempDir(), "dirty")
			loopfs.With(t, image, "", func(dir string) {
				guesttest.MakeSmallTree(t, dir)
				syncDir(t, dir)
				copyFile(t, image, dirty)
			})
			return dirty
		}),
		guesttest.Seed(t, "ext2", func() string {
			dir := t.TempDir()
			guesttest.MakeSmallTree(t, dir)
			return mke2fs(t, 2<<20, "-b", "1024", "-N", "300", "-O", "ext_attr,filetype", "-d", dir)
		}),
		guesttest.Seed(t, "ext4", func() string {
			dir := t.TempDir()
			guesttest.MakeSmallTree(t, dir)
			return mke2fs(t, 4<<20, "-b", "4096", "-O", "ext_attr,filetype,extents,bigalloc,meta_bg,^resize_inode,64bit,metadata_csum", "-C", "16384", "-N", "300", "-d", dir)
		}),
	}
}

func FuzzReader(f *testing.F) { guesttest.FuzzReader(f, seeds(f), ext4.Open) }
