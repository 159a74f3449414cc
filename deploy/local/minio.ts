import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Client } from "minio";
import { goProgram, type GoProgram } from "./go-program.js";
import { serviceFolder, startService, type LocalService, type StartOptions } from "./local-service.js";
import { freePort } from "./server-process.js";

/**
 * Runs as a separate, unmodified process and is never shipped: MinIO is under the AGPL. It is no longer maintained
 * either, so it listens on loopback alone.
 */
const MINIO: GoProgram = {
  name: "minio",
  module: "github.com/minio/minio",
  package: "github.com/minio/minio",
  version: "v0.0.0-20260212201848-7aac2a2c5b7c",
  checksum: "h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA=",
  takes: "about 4 minutes",
};

/** The bucket that a started store has. */
export const LOCAL_BUCKET = "sluice";

export interface LocalObjectStore extends LocalService {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly bucket: string;
}

/** Builds where needed, then starts MinIO. Throws E_SERVICE. */
export async function startMinio(options: StartOptions = {}): Promise<LocalObjectStore> {
  const program = await goProgram(MINIO, options.report ?? (() => undefined));
  const folder = await serviceFolder("minio", options.folder);
  const keys = objectStoreKeys();
  const service = await startService(
    options,
    async (port) => ({
      name: "MinIO",
      program,
      args: [
        "server",
        "--quiet",
        "--address",
        `127.0.0.1:${port}`,
        "--console-address",
        `127.0.0.1:${await freePort()}`,
        join(folder, "data"),
      ],
      environment: {
        MINIO_ROOT_USER: keys.accessKey,
        MINIO_ROOT_PASSWORD: keys.secretKey,
        MINIO_BROWSER: "off",
        MINIO_UPDATE: "off",
        ...options.environment,
      },
      folder,
      // Alive, and past the 503 of a server that still looks at its disks.
      ready: async () =>
        (await fetch(`http://127.0.0.1:${port}/minio/health/live`)).ok &&
        (await fetch(`http://127.0.0.1:${port}/`)).status !== 503,
    }),
    (address) => objectStoreEnvironment(address, keys),
  );
  return withBucket(service, keys);
}

export async function withBucket(
  service: LocalService,
  keys: { accessKey: string; secretKey: string },
): Promise<LocalObjectStore> {
  const client = new Client({ endPoint: "127.0.0.1", port: service.port, useSSL: false, region: "us-east-1", ...keys });
  if (!(await client.bucketExists(LOCAL_BUCKET))) await client.makeBucket(LOCAL_BUCKET);
  return Object.assign(service, keys, { bucket: LOCAL_BUCKET });
}

export function objectStoreKeys(): { accessKey: string; secretKey: string } {
  return { accessKey: "sluice", secretKey: randomBytes(16).toString("hex") };
}

export function objectStoreEnvironment(
  address: string,
  keys: { accessKey: string; secretKey: string },
): Record<string, string> {
  return {
    SLUICE_S3__ENDPOINT: `http://${address}`,
    SLUICE_S3__ACCESS_KEY: keys.accessKey,
    SLUICE_S3__SECRET_KEY: keys.secretKey,
    SLUICE_S3__BUCKET: LOCAL_BUCKET,
  };
}
