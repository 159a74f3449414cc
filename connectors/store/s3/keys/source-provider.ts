import type { ClientOptions } from "minio";
import type { KeySource } from "./key-source.js";

type Provider = NonNullable<ClientOptions["credentialsProvider"]>;

/** Gives the client, before each request, the keys to sign it with. */
export function sourceProvider(source: KeySource): Provider {
  // The client asks for nothing else of what its own package does not export.
  const provider: unknown = {
    async getCredentials() {
      const { accessKey, secretKey, sessionToken } = await source.keys();
      return {
        getAccessKey: () => accessKey,
        getSecretKey: () => secretKey,
        getSessionToken: () => sessionToken,
      };
    },
  };
  return provider as Provider;
}
