import { openMinioStore, type MinioStore } from "../../connectors/store/minio.js";
import type { S3Config } from "../../schemas/s3-config.js";

/** Opens the configured bucket as a store. Throws E_STORE_BUCKET, E_STORE_ACCESS, E_STORE_IO. */
export async function openBucket({ endpoint, prefix, region, ...s3 }: S3Config): Promise<MinioStore> {
  const { hostname, port, protocol } = new URL(endpoint);
  const useSSL = protocol === "https:";
  return openMinioStore({
    ...s3,
    endPoint: hostname,
    port: port === "" ? (useSSL ? 443 : 80) : Number(port),
    useSSL,
    ...(prefix === undefined ? {} : { prefix }),
    ...(region === undefined ? {} : { region }),
  });
}
