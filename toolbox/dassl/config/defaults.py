"""Every key a host's YAML files and command lines may set, with its default.

Merging refuses unknown keys and values of another type, so names and types (`0` or `0.0`) are
part of the interface, also where nothing here reads the key.
"""

from yacs.config import CfgNode as CN

_C = CN()
_C.VERSION = 1
_C.OUTPUT_DIR = "./output"
# Empty: look for checkpoints in OUTPUT_DIR.
_C.RESUME = ""
_C.SEED = -1
_C.USE_CUDA = True
_C.VERBOSE = True

_C.INPUT = CN()
_C.INPUT.update(SIZE=(224, 224), INTERPOLATION="bilinear", TRANSFORMS=(), NO_TRANSFORM=False)
_C.INPUT.update(PIXEL_MEAN=[0.485, 0.456, 0.406], PIXEL_STD=[0.229, 0.224, 0.225])
_C.INPUT.update(CROP_PADDING=4, RRCROP_SCALE=(0.08, 1.0), CUTOUT_N=1, CUTOUT_LEN=16)
_C.INPUT.update(GN_MEAN=0.0, GN_STD=0.15, RANDAUGMENT_N=2, RANDAUGMENT_M=10)
_C.INPUT.update(COLORJITTER_B=0.4, COLORJITTER_C=0.4, COLORJITTER_S=0.4, COLORJITTER_H=0.1)
_C.INPUT.update(RGS_P=0.2, GB_P=0.5, GB_K=21)
# Stand-in only: turn pictures upright (EXIF) and lay transparent ones on white: "yes", "no", or
# "auto", what the data set's reader says in its class attribute `as_seen` (none: no).
_C.INPUT.AS_SEEN = "auto"

_C.DATASET = CN()
_C.DATASET.update(ROOT="", NAME="", SOURCE_DOMAINS=(), TARGET_DOMAINS=())
_C.DATASET.update(NUM_LABELED=-1, NUM_SHOTS=-1, VAL_PERCENT=0.1, ALL_AS_UNLABELED=False)
_C.DATASET.update(STL10_FOLD=-1, CIFAR_C_TYPE="", CIFAR_C_LEVEL=1)
# Not a key of the original. Readers use it, and scripts that do not add it themselves
# (feature extraction for linear probes) would fail without it.
_C.DATASET.SUBSAMPLE_CLASSES = "all"

_C.DATALOADER = CN()
_C.DATALOADER.update(NUM_WORKERS=4, K_TRANSFORMS=1, RETURN_IMG0=False)
# Stand-in only: megabytes of decoded images kept in memory (0: none), and whether unreadable
# images are left out instead of ending the run.
_C.DATALOADER.update(CACHE_MB=0, SKIP_BAD_IMAGES=False)
_C.DATALOADER.TRAIN_X = CN()
_C.DATALOADER.TRAIN_X.update(SAMPLER="RandomSampler", BATCH_SIZE=32, N_DOMAIN=0, N_INS=16)
_C.DATALOADER.TRAIN_U = CN()
_C.DATALOADER.TRAIN_U.update(SAMPLER="RandomSampler", BATCH_SIZE=32, N_DOMAIN=0, N_INS=16)
_C.DATALOADER.TRAIN_U.SAME_AS_X = True
_C.DATALOADER.TEST = CN()
_C.DATALOADER.TEST.update(SAMPLER="SequentialSampler", BATCH_SIZE=32)

_C.MODEL = CN()
_C.MODEL.INIT_WEIGHTS = ""
_C.MODEL.BACKBONE = CN()
_C.MODEL.BACKBONE.update(NAME="", PRETRAINED=True)
_C.MODEL.HEAD = CN()
_C.MODEL.HEAD.update(NAME="", HIDDEN_LAYERS=(), ACTIVATION="relu", BN=True, DROPOUT=0.0)

_C.OPTIM = CN()
_C.OPTIM.update(NAME="adam", LR=0.0003, WEIGHT_DECAY=5e-4, MOMENTUM=0.9)
_C.OPTIM.update(SGD_DAMPNING=0, SGD_NESTEROV=False, RMSPROP_ALPHA=0.99)
_C.OPTIM.update(ADAM_BETA1=0.9, ADAM_BETA2=0.999)
_C.OPTIM.update(STAGED_LR=False, NEW_LAYERS=(), BASE_LR_MULT=0.1)
_C.OPTIM.update(LR_SCHEDULER="single_step", STEPSIZE=(-1,), GAMMA=0.1, MAX_EPOCH=10)
_C.OPTIM.update(WARMUP_EPOCH=-1, WARMUP_TYPE="linear", WARMUP_CONS_LR=1e-5)
_C.OPTIM.update(WARMUP_MIN_LR=1e-5, WARMUP_RECOUNT=True)

_C.TRAIN = CN()
_C.TRAIN.update(CHECKPOINT_FREQ=0, PRINT_FREQ=10, COUNT_ITER="train_x")
# Stand-in only: also save within an epoch, every this many batches (0: never).
_C.TRAIN.CHECKPOINT_BATCHES = 0

_C.TEST = CN()
_C.TEST.update(EVALUATOR="Classification", PER_CLASS_RESULT=False, COMPUTE_CMAT=False)
_C.TEST.update(NO_TEST=False, SPLIT="test", FINAL_MODEL="last_step")

_C.TRAINER = CN()
_C.TRAINER.NAME = ""
