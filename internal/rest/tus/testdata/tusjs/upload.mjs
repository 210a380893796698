// Uploads a file by tus-js-client, as a page or a script would:
//
//   upload.mjs ENDPOINT TOKEN FILE JSON
//
// JSON has options of the client, and {dieAt}: leave without a word after so many
// bytes; {store}: a file to find an upload again by; {deferred}: do not know the
// length before the end. It prints one line of JSON.
import { createReadStream } from "node:fs";
import { PassThrough } from "node:stream";
import * as tus from "tus-js-client";

const [endpoint, token, file, text] = process.argv.slice(2);
const { dieAt, store, deferred, ...more } = JSON.parse(text);
let first = -1;
let last = 0;
// A file tells its length, other streams do not.
const content = deferred ? createReadStream(file).pipe(new PassThrough()) : createReadStream(file);
const upload = new tus.Upload(content, {
  endpoint,
  headers: { "X-Auth-Token": token },
  retryDelays: [0, 100, 500],
  urlStorage: store ? new tus.FileUrlStorage(store) : undefined,
  storeFingerprintForResuming: Boolean(store),
  uploadLengthDeferred: Boolean(deferred),
  onProgress(sent) {
    if (first < 0) first = sent;
    last = sent;
    if (dieAt && sent >= dieAt) process.exit(7);
  },
  onError(error) {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess() {
    console.log(JSON.stringify({ url: upload.url, first, last }));
  },
  ...more,
});
if (store) {
  const before = await upload.findPreviousUploads();
  if (before.length > 0) upload.resumeFromPreviousUpload(before[0]);
}
upload.start();
