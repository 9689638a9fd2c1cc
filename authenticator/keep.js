// What this phone keeps, all of it. Two shelves in IndexedDB:
//
//   accounts  by device: {device, account, institution, key, unlock, passcode, skew, number, gone, pushed, pending}
//             key: a CryptoKeyPair and passcode.key: an HMAC key, neither of which can be exported;
//             unlock: the id of the platform passkey; number: "Account 2"; pushed: the hash of a push endpoint
//   facts     "house": what the institution says of itself
//
// No name, address or history of a person is ever written here; they are fetched when they are shown.

const open = new Promise((resolve, reject) => {
  const request = indexedDB.open("gatehouse", 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("accounts", { keyPath: "device" });
    request.result.createObjectStore("facts", { keyPath: "name" });
  };
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
open.catch(() => {}); // whoever asks first hears of it

async function on(shelf, mode, act) {
  const transaction = (await open).transaction(shelf, mode);
  const request = act(transaction.objectStore(shelf));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

/** Every account, in the order of their numbers. */
export const accounts = async () => (await on("accounts", "readonly", (s) => s.getAll())).sort((a, b) => a.number - b.number);
export const account = (device) => on("accounts", "readonly", (s) => s.get(device));
export const remove = (device) => on("accounts", "readwrite", (s) => s.delete(device));

/** add keeps a new account under the lowest number that is free. */
export async function add(entry) {
  const taken = new Set((await accounts()).map((a) => a.number));
  let number = 1;
  while (taken.has(number)) number++;
  const whole = { ...entry, number };
  await on("accounts", "readwrite", (s) => s.add(whole));
  // Safari forgets a site that is unused for a week, unless it is installed or was asked to keep it.
  navigator.storage?.persist?.().catch(() => {});
  return whole;
}

/** change writes some fields of an account; one that is gone by now stays gone. */
export async function change(device, fields) {
  const transaction = (await open).transaction("accounts", "readwrite");
  const shelf = transaction.objectStore("accounts");
  const read = shelf.get(device);
  read.onsuccess = () => { if (read.result) shelf.put({ ...read.result, ...fields }); };
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

export const fact = async (name) => (await on("facts", "readonly", (s) => s.get(name)))?.value;
export const setFact = (name, value) => on("facts", "readwrite", (s) => s.put({ name, value }));
