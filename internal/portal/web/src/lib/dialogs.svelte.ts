// Dialogs that any page may open and that live longer than the page: they are
// drawn by the shell.
export const dialogs = $state({
  /** The upload dialog, and files that were dropped somewhere. */
  upload: false,
  files: [] as File[],
});

/** Opens the upload dialog. */
export function openUpload(files: File[] = []): void {
  dialogs.files = files;
  dialogs.upload = true;
}
