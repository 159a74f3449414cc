/** The settings that a certificate's fault may be mended by */
export interface TlsSettings {
  readonly ca: string;
  readonly serverName: string | null;
  /** The client's own certificate; null where there is none to set */
  readonly own: string | null;
}

const UNTRUSTED: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_SIGNATURE_FAILURE",
]);

/** What an error of TLS says of the server, and the setting that mends it; null for another error. `code`: Node's. */
export function tlsFault(code: string, { ca, serverName, own }: TlsSettings): string | null {
  if (UNTRUSTED.has(code)) {
    return `that no authority known here vouches for the server's certificate (${code}). Name the file of the authority that signed it, or of a self-signed certificate itself: ${ca}.`;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const name = serverName === null ? "Use a name that it has." : `Use a name that it has, or say it: ${serverName}.`;
    return `that the server's certificate is for another name (${code}). ${name}`;
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    return `a certificate that is not valid now (${code}). Have the server's certificate renewed, or set this machine's clock.`;
  }
  if (/^ERR_SSL_.*(ALERT_CERTIFICATE_REQUIRED|ALERT_BAD_CERTIFICATE|ALERT_UNKNOWN_CA|HANDSHAKE_FAILURE)$/.test(code)) {
    return `that the server refuses the client's certificate, or wants one (${code}).${own === null ? "" : ` Name one that it knows: ${own}.`}`;
  }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG") {
    return `no TLS at that address (${code}). Name the port that speaks TLS, or do without.`;
  }
  return null;
}
