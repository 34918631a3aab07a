// One device of a member that runs ts-mls: MLS alone, no network.
//
// It reads one JSON object a line, does what `do` names, and answers with one line: {"ok":…} or {"error":"…"}.
// Bytes are base64. The first argument is the folder that `npm ci` made; a group is named by its id.
//
// A commit changes nothing until `apply`: every state of ts-mls is a value, so the next one is kept beside the present.

import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

// Node 18 has it, and not under the name by which ts-mls asks for it.
globalThis.crypto ??= webcrypto;

const library = (file) => import(pathToFileURL(resolve(process.argv[2], "node_modules/ts-mls/dist/src", file)));
const mls = await library("index.js");
const { createGroupInfo } = await library("createCommit.js");
const { encodeRatchetTree } = await library("ratchetTree.js");
const { makeKeyPackageRef } = await library("keyPackage.js");
const { unprotectPrivateMessage } = await library("messageProtection.js");

const CHARTER = 0xf0fc;
const LAST_RESORT = 0x000a;
const GREASE = 0x1a1a;
const LIFETIME_S = 84n * 86_400n;
const X25519_BYTES = 32;

const suite = await mls.getCiphersuiteImpl(mls.getCiphersuiteFromName("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"));
const config = {
  keyRetentionConfig: mls.defaultKeyRetentionConfig,
  lifetimeConfig: mls.defaultLifetimeConfig,
  keyPackageEqualityConfig: mls.defaultKeyPackageEqualityConfig,
  paddingConfig: { kind: "padUntilLength", padUntilLength: 256 },
  authService: mls.defaultAuthenticationService,
};

let me;
const packages = new Map();
const groups = new Map();
const pending = new Map();

const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));
const text = (data) => Buffer.from(data).toString("base64");
const encoded = (content) => text(mls.encodeMlsMessage({ version: "mls10", ...content }));

function decoded(message, wireformat) {
  const data = bytes(message);
  const [found, length] = mls.decodeMlsMessage(data, 0) ?? [];
  if (found?.wireformat !== wireformat) throw new Error(`expected ${wireformat}, found ${found?.wireformat}`);
  if (length !== data.length) throw new Error(`${data.length - length} bytes behind the ${wireformat}`);
  return found;
}

function group(id) {
  const state = groups.get(id);
  if (state === undefined) throw new Error("no such group here");
  return state;
}

const required = mls.encodeRequiredCapabilities({ extensionTypes: [CHARTER], proposalTypes: [], credentialTypes: [] });
const extensionsOf = (charter) => [
  { extensionType: "required_capabilities", extensionData: required },
  { extensionType: CHARTER, extensionData: bytes(charter) },
];

// Trap: ts-mls' own createGroupInfoWithExternalPub puts the bare key into external_pub, without the length that
// RFC 9420 §12.4.3.2 has before it. One that is not mended shows what comes of it.
async function groupInfoOf(state) {
  if (!me.mended) return mls.createGroupInfoWithExternalPubAndRatchetTree(state, [], suite);
  const { publicKey } = await suite.hpke.deriveKeyPair(state.keySchedule.externalSecret);
  const key = await suite.hpke.exportPublicKey(publicKey);
  const extensions = [
    { extensionType: "external_pub", extensionData: Uint8Array.of(key.length, ...key) },
    { extensionType: "ratchet_tree", extensionData: encodeRatchetTree(state.ratchetTree) },
  ];
  return createGroupInfo(state.groupContext, state.confirmationTag, state, extensions, suite);
}

// The same trap from the other side: it takes the extension as it stands for the key.
const suiteForEntering = {
  ...suite,
  hpke: {
    ...suite.hpke,
    importPublicKey: (key) =>
      suite.hpke.importPublicKey(key.length === X25519_BYTES + 1 && key[0] === X25519_BYTES ? key.subarray(1) : key),
  },
};

async function newPackage(extensions) {
  const now = BigInt(Math.floor(Date.now() / 1000));
  const capabilities = {
    versions: ["mls10"],
    // Grease: whoever reads it must not mind.
    ciphersuites: [suite.name, String(GREASE)],
    extensions: [CHARTER, LAST_RESORT, GREASE],
    proposals: [GREASE],
    credentials: ["basic"],
  };
  const lifetime = { notBefore: now - 3_600n, notAfter: now + LIFETIME_S };
  return mls.generateKeyPackageWithKey(me.credential, capabilities, lifetime, extensions, me.keys, suite);
}

async function made(id, newState, commit, welcome) {
  pending.set(id, newState);
  return {
    commit: encoded(commit),
    welcome: welcome && encoded({ wireformat: "mls_welcome", welcome }),
    groupInfo: encoded({ wireformat: "mls_group_info", groupInfo: await groupInfoOf(newState) }),
  };
}

const actions = {
  begin({ credential, signingSeed, publicKey, mended }) {
    me = {
      mended,
      credential: { credentialType: "basic", identity: bytes(credential) },
      keys: { signKey: bytes(signingSeed), publicKey: bytes(publicKey) },
    };
    return {};
  },

  async package({ lastResort }) {
    const made = await newPackage(lastResort ? [{ extensionType: LAST_RESORT, extensionData: new Uint8Array() }] : []);
    packages.set(text(await makeKeyPackageRef(made.publicPackage, suite.hash)), made);
    return { package: encoded({ wireformat: "mls_key_package", keyPackage: made.publicPackage }) };
  },

  async create({ group: id, charter }) {
    const { publicPackage, privatePackage } = await newPackage([]);
    groups.set(id, await mls.createGroup(bytes(id), publicPackage, privatePackage, extensionsOf(charter), suite, config));
    return {};
  },

  async commit({ group: id, add, remove, charter, authenticated }) {
    const extraProposals = [
      ...remove.map((removed) => ({ proposalType: "remove", remove: { removed } })),
      ...add.map((data) => ({ proposalType: "add", add: { keyPackage: decoded(data, "mls_key_package").keyPackage } })),
      ...(charter
        ? [{ proposalType: "group_context_extensions", groupContextExtensions: { extensions: extensionsOf(charter) } }]
        : []),
    ];
    const options = { wireAsPublicMessage: true, ratchetTreeExtension: true, extraProposals, authenticatedData: bytes(authenticated) };
    const result = await mls.createCommit({ state: group(id), cipherSuite: suite }, options);
    return made(id, result.newState, result.commit, result.welcome);
  },

  async enter({ group: id, groupInfo, authenticated, again }) {
    const info = decoded(groupInfo, "mls_group_info").groupInfo;
    const { publicPackage, privatePackage } = await newPackage([]);
    const result = await mls.joinGroupExternal(
      info, publicPackage, privatePackage, again, suiteForEntering, undefined, config, bytes(authenticated),
    );
    const commit = { wireformat: "mls_public_message", publicMessage: result.publicMessage };
    return made(id, result.newState, commit, undefined);
  },

  apply({ group: id }) {
    if (!pending.has(id)) throw new Error("nothing to apply");
    groups.set(id, pending.get(id));
    pending.delete(id);
    return {};
  },

  withdraw({ group: id }) {
    pending.delete(id);
    return {};
  },

  async join({ group: id, welcome }) {
    const found = decoded(welcome, "mls_welcome").welcome;
    const own = found.secrets.map((secret) => packages.get(text(secret.newMember))).find((one) => one !== undefined);
    if (own === undefined) throw new Error("the Welcome is not for this device");
    const state = await mls.joinGroup(
      found, own.publicPackage, own.privatePackage, mls.emptyPskIndex, suite, undefined, undefined, config,
    );
    if (text(state.groupContext.groupId) !== id) throw new Error("the Welcome is for another group");
    groups.set(id, state);
    return {};
  },

  async process({ group: id, commit }) {
    const message = decoded(commit, "mls_public_message");
    const result = await mls.processMessage(message, group(id), mls.emptyPskIndex, mls.acceptAll, suite);
    groups.set(id, result.newState);
    return {
      out: result.newState.groupActiveState.kind === "removedFromGroup",
      authenticated: text(message.publicMessage.content.authenticatedData),
    };
  },

  // Trap: processMessage opens it as well, and does not say who sealed it.
  async open({ group: id, message }) {
    const state = group(id);
    const { privateMessage } = decoded(message, "mls_private_message");
    if (privateMessage.epoch !== state.groupContext.epoch) throw new Error("of another epoch");
    const { tree, content } = await unprotectPrivateMessage(
      state.keySchedule.senderDataSecret, privateMessage, state.secretTree, state.ratchetTree, state.groupContext,
      config.keyRetentionConfig, suite,
    );
    if (content.content.contentType !== "application") throw new Error("no application message");
    groups.set(id, { ...state, secretTree: tree });
    return {
      sender: content.content.sender.leafIndex,
      plaintext: text(content.content.applicationData),
      authenticated: text(privateMessage.authenticatedData),
    };
  },

  async seal({ group: id, plaintext, authenticated }) {
    const result = await mls.createApplicationMessage(group(id), bytes(plaintext), suite, bytes(authenticated));
    groups.set(id, result.newState);
    return { message: encoded({ wireformat: "mls_private_message", privateMessage: result.privateMessage }) };
  },

  view({ group: id }) {
    const { groupContext, ratchetTree } = group(id);
    const [first, charter, ...others] = groupContext.extensions;
    const isRequired = first?.extensionType === "required_capabilities" && text(first.extensionData) === text(required);
    if (!isRequired || charter?.extensionType !== CHARTER || others.length > 0) {
      throw new Error("the group's extensions are not exactly a charter and that it is required");
    }
    // Leaves stand at the even places of the tree.
    const leaves = ratchetTree.flatMap((node, at) =>
      node?.nodeType === "leaf" ? [{ index: at / 2, credential: text(node.leaf.credential.identity) }] : [],
    );
    return { epoch: Number(groupContext.epoch), charter: text(charter.extensionData), leaves };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await actions[request.do](request) };
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
