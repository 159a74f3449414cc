import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { goProgram, type GoProgram } from "./go-program.js";
import { serviceFolder, startService, type StartOptions } from "./local-service.js";
import { objectStoreEnvironment, objectStoreKeys, withBucket, type LocalObjectStore } from "./minio.js";

/** Apache-2.0; from 1.8.0 on its conditional PUT is atomic. */
const VERSITYGW: GoProgram = {
  name: "versitygw",
  module: "github.com/versity/versitygw",
  package: "github.com/versity/versitygw/cmd/versitygw",
  version: "v1.8.0",
  checksum: "h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=",
  takes: "about 2 minutes",
};

/** Builds where needed, then starts the Versity S3 gateway over a folder: the second S3 server. Throws E_SERVICE. */
export async function startVersitygw(options: StartOptions = {}): Promise<LocalObjectStore> {
  const program = await goProgram(VERSITYGW, options.report ?? (() => undefined));
  const folder = await serviceFolder("versitygw", options.folder);
  const [objects, attributes] = [join(folder, "objects"), join(folder, "attributes")];
  await mkdir(objects, { recursive: true });
  await mkdir(attributes, { recursive: true });
  const keys = objectStoreKeys();
  const service = await startService(
    options,
    async (port) => ({
      name: "versitygw",
      program,
      // Attributes in a folder of their own: not every file system has extended attributes.
      args: [
        "--port",
        `127.0.0.1:${port}`,
        "--health",
        "/health",
        "--quiet",
        "posix",
        "--sidecar",
        attributes,
        objects,
      ],
      environment: { ROOT_ACCESS_KEY: keys.accessKey, ROOT_SECRET_KEY: keys.secretKey },
      folder,
      ready: async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok,
    }),
    (address) => objectStoreEnvironment(address, keys),
  );
  return withBucket(service, keys);
}
