import net from "node:net";
import tls from "node:tls";
import type { ISocketFactory } from "kafkajs";

const KEEP_ALIVE_MS = 60_000;
/** Ends a host that stands for an IPv6 address: no resolver is ever asked for it */
const LITERAL = ".ipv6-literal";

/** A broker as the client takes it: it cuts at the first colon, so an address in brackets is written with dashes for colons. */
export function clientsBroker(broker: string): string {
  return broker.replace(/^\[([0-9a-fA-F:.]+)\]/, (_, address: string) => `${address.replaceAll(":", "-")}${LITERAL}`);
}

/** The host that a connection is for: brackets and what `clientsBroker` made of an address are undone. */
export function hostOf(host: string): string {
  if (host.endsWith(LITERAL)) return host.slice(0, -LITERAL.length).replaceAll("-", ":");
  return host.replace(/^\[(.*)\]$/, "$1");
}

/** Opens connections to brokers, also at IPv6 addresses. */
export const openBrokerSocket: ISocketFactory = ({ host: given, port, ssl, onConnect }) => {
  const host = hostOf(given);
  const name = net.isIP(host) === 0 ? { servername: host } : {};
  // The types say otherwise, but without TLS there is none.
  const secure = ssl as typeof ssl | null | undefined;
  const socket =
    secure == null
      ? net.connect({ host, port }, onConnect)
      : tls.connect({ host, port, ...name, ...secure }, onConnect);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  return socket;
};
