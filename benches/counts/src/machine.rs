//! The built wasm, run instruction by instruction: what JavaScript does around a call is done here as well.

use anyhow::{Context, Result, bail, ensure};
use bincode::config::{Configuration, Fixint, LittleEndian};
use bincode::{Decode, Encode};
use wasmi::{Config, Engine, ExternType, F64, Func, Instance, Linker, Memory, Module, Store, Val};

/// As in `src/codec.rs`.
const CONFIG: Configuration<LittleEndian, Fixint> = bincode::config::standard().with_fixed_int_encoding();
const HEAD_BYTES: usize = 8;
const GIVEN: u32 = 1;
const REFUSED: u32 = 2;

/// A module that is checked and translated, of which machines are made.
pub struct Program {
    engine: Engine,
    module: Module,
}

impl Program {
    pub fn new(wasm: &[u8]) -> Result<Self> {
        let mut config = Config::default();
        config.consume_fuel(true);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, wasm).map_err(error)?;
        Ok(Self { engine, module })
    }
}

/// One engine in an instance of its own, so that no work finds the memory as another has left it.
pub struct Machine {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    engine: i32,
    area: usize,
    area_bytes: usize,
}

impl Machine {
    /// An engine that has recovered nothing yet. `blob_bytes_max` 0: nothing is stored.
    pub fn new(program: &Program, blob_bytes_max: i32) -> Result<Self> {
        let mut store = Store::new(&program.engine, ());
        store.set_fuel(u64::MAX).map_err(error)?;
        let mut linker = Linker::new(&program.engine);
        for import in program.module.imports() {
            let ExternType::Func(signature) = import.ty() else { bail!("`{}` is no function", import.name()) };
            let called = format!("the engine has panicked: it calls `{}`", import.name());
            // JavaScript is called by what panics alone.
            let refuse =
                Func::new(&mut store, signature.clone(), move |_, _, _| Err(wasmi::Error::new(called.clone())));
            linker.define(import.module(), import.name(), refuse).map_err(|why| anyhow::anyhow!("{why}"))?;
        }
        let instance = linker.instantiate_and_start(&mut store, &program.module).map_err(error)?;
        let memory = instance.get_memory(&store, "memory").context("the wasm exports no memory")?;
        let mut machine = Self { store, instance, memory, engine: 0, area: 0, area_bytes: 0 };
        machine.engine = machine.export("engine_new", &[Val::I32(blob_bytes_max), Val::I32(0)])?;
        machine.write(&[7; 16])?;
        let named = machine.call("name", &[Val::I32(16)])?;
        machine.answer(named)?;
        Ok(machine)
    }

    /// Instructions that `work` takes.
    pub fn count(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<u64> {
        let before = self.store.get_fuel().map_err(error)?;
        work(self)?;
        Ok(before - self.store.get_fuel().map_err(error)?)
    }

    /// Calls a method of the engine that takes bytes, and looks at its answer.
    pub fn ask(&mut self, method: &str, bytes: &[u8], rest: &[f64]) -> Result<Option<Vec<u8>>> {
        self.write(bytes)?;
        let length = Val::I32(i32::try_from(bytes.len())?);
        let arguments: Vec<Val> = std::iter::once(length).chain(rest.iter().map(|number| float(*number))).collect();
        let answer = self.call(method, &arguments)?;
        self.answer(answer).with_context(|| format!("{method} is refused"))
    }

    /// The same of one that takes numbers alone.
    pub fn ask_numbers(&mut self, method: &str, numbers: &[f64]) -> Result<Option<Vec<u8>>> {
        let arguments: Vec<Val> = numbers.iter().map(|number| float(*number)).collect();
        let answer = self.call(method, &arguments)?;
        self.answer(answer).with_context(|| format!("{method} is refused"))
    }

    /// Calls a method of the engine.
    pub fn call(&mut self, method: &str, arguments: &[Val]) -> Result<i32> {
        let all: Vec<Val> = std::iter::once(Val::I32(self.engine)).chain(arguments.iter().cloned()).collect();
        self.export(&format!("engine_{method}"), &all)
    }

    /// Puts bytes into the area.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.area == 0 || bytes.len() > self.area_bytes {
            self.area = usize::try_from(self.call("area", &[Val::I32(i32::try_from(bytes.len())?)])?)?;
            self.area_bytes = bytes.len().max(64 << 10);
        }
        self.memory.write(&mut self.store, self.area, bytes).map_err(|why| anyhow::anyhow!("{why}"))
    }

    /// What lies on the board.
    pub fn revision(&mut self) -> Result<u64> {
        let at = usize::try_from(self.call("board", &[])?)?;
        let mut number = [0; 8];
        self.memory.read(&self.store, at, &mut number).map_err(|why| anyhow::anyhow!("{why}"))?;
        Ok(f64::from_le_bytes(number) as u64)
    }

    /// What an answer gives; none: there is nothing to give.
    pub fn answer(&self, at: i32) -> Result<Option<Vec<u8>>> {
        let memory = self.memory.data(&self.store);
        let head = memory.get(usize::try_from(at)?..).context("an answer lies in the memory")?;
        let word = |place: usize| u32::from_le_bytes([head[place], head[place + 1], head[place + 2], head[place + 3]]);
        let given = &head[HEAD_BYTES..][..word(4) as usize];
        ensure!(word(0) != REFUSED, "{}", String::from_utf8_lossy(given));
        Ok((word(0) == GIVEN).then(|| given.to_vec()))
    }

    fn export(&mut self, name: &str, arguments: &[Val]) -> Result<i32> {
        let function =
            self.instance.get_func(&self.store, name).with_context(|| format!("no export is called {name}"))?;
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, arguments, &mut results).map_err(error).with_context(|| name.to_string())?;
        Ok(match results.first() {
            Some(Val::I32(number)) => *number,
            _ => 0,
        })
    }
}

pub fn encoded(value: impl Encode) -> Result<Vec<u8>> {
    Ok(bincode::encode_to_vec(value, CONFIG)?)
}

pub fn decoded<T: Decode<()>>(bytes: &[u8]) -> Result<T> {
    Ok(bincode::decode_from_slice(bytes, CONFIG)?.0)
}

fn float(number: f64) -> Val {
    Val::F64(F64::from(number))
}

fn error(error: wasmi::Error) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}
