/** The transitions of a machine by name, and which of them a step takes: what coverage is counted in. */
import { type AnyMachineSnapshot, type AnyStateMachine, type AnyStateNode, getInitialMicrosteps, getMicrosteps } from 'xstate';

export type Edge = { id: string; source: string; event: string; targets: string[] };

type Transition = { source: AnyStateNode; target: readonly AnyStateNode[] | undefined; eventType: string };

/** All state nodes of the machine below its root. */
export function statesOf(machine: AnyStateMachine): string[] {
  return nodesOf(machine.root)
    .filter((node) => node !== machine.root)
    .map((node) => node.id);
}

/** Every transition, each branch of a guarded one on its own. */
export function edgesOf(machine: AnyStateMachine): Edge[] {
  return nodesOf(machine.root).flatMap((node) =>
    transitionsOf(node).map((transition) => ({
      id: nameOf(transition),
      source: node.id,
      event: transition.eventType,
      targets: (transition.target ?? []).map((target) => target.id),
    })),
  );
}

/** Names of the transitions that this event takes in this snapshot, with the eventless ones that follow. */
export function edgesTaken(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: { type: string }): string[] {
  const taken = machine.getTransitionData(snapshot, event).map((transition) => nameOf(transition as Transition)); // the same objects as in the nodes
  const [first, ...followers] = getMicrosteps(machine, snapshot, event).map(([each]) => each as AnyMachineSnapshot);
  return first ? [...taken, ...followed([first, ...followers])] : taken;
}

/** The eventless transitions on the way from the start to the first resting place. */
export function edgesAtStart(machine: AnyStateMachine, input: unknown): string[] {
  return followed(getInitialMicrosteps(machine, input as never).map(([each]) => each as AnyMachineSnapshot)); // the input was checked by its schema
}

/** Active state nodes of a snapshot. */
export function activeStates(snapshot: AnyMachineSnapshot): string[] {
  return [...(snapshot._nodes as AnyStateNode[])].map((node) => node.id);
}

function followed(snapshots: readonly AnyMachineSnapshot[]): string[] {
  const out: string[] = [];
  for (const [index, after] of snapshots.entries()) {
    const before = snapshots[index - 1];
    if (!before) continue;
    const [was, is] = [new Set<AnyStateNode>(before._nodes), new Set<AnyStateNode>(after._nodes)];
    const inner = [...was].flatMap(transitionsOf).filter(({ eventType }) => eventType === '' || eventType.startsWith('xstate.done.state'));
    out.push(...inner.filter(({ target = [] }) => target.length > 0 && target.every((node) => is.has(node))).map(nameOf));
  }
  return out;
}

function nodesOf(node: AnyStateNode): AnyStateNode[] {
  return [node, ...Object.values(node.states).flatMap((inner) => nodesOf(inner as AnyStateNode))]; // `states` of any node holds nodes
}

function transitionsOf(node: AnyStateNode): Transition[] {
  return [...[...node.transitions.values()].flat(), ...(node.always ?? [])] as Transition[]; // definitions as XState made them
}

function nameOf(transition: Transition): string {
  const { source, eventType } = transition;
  const siblings = (eventType === '' ? (source.always ?? []) : (source.transitions.get(eventType) ?? [])) as Transition[];
  const branch = siblings.indexOf(transition);
  const event = eventType === '' ? 'always' : eventType;
  return siblings.length > 1 ? `${source.id} ${event} #${branch + 1}` : `${source.id} ${event}`;
}
