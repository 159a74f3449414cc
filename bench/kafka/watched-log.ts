import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import type { Assignment } from "../../connectors/log/log.js";
import { say } from "./say.js";

/** The same log, which says `given` and `released` for each partition that a member holds. */
export function sayingWhatIsGiven(log: KafkaLog): KafkaLog {
  const consume: KafkaLog["consume"] = (topic, group, task, signal) => {
    const saying = async (assignment: Assignment): Promise<void> => {
      const { partition } = assignment;
      say("given", { partition });
      try {
        await task(assignment);
      } finally {
        say("released", { partition });
      }
    };
    return log.consume(topic, group, saying, signal);
  };
  return new Proxy(log, {
    get: (target, name) => {
      if (name === "consume") return consume;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}
