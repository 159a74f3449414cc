import { text } from "node:stream/consumers";
import { kafkaTool } from "../../../deploy/local/kafka.js";

/** Kafka's own `kafka-console-producer`, run from the cached jars: the same arguments and input. */
const input = await text(process.stdin);
await kafkaTool("org.apache.kafka.tools.ConsoleProducer", process.argv.slice(2), input);
