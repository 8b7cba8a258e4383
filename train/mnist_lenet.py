import sys,os,json,argparse
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
p=argparse.ArgumentParser(); p.add_argument("--set",nargs="*",default=[]); p.add_argument("--network",default="lenet-300-100"); p.add_argument("--out"); p.add_argument("--threads",type=int,default=1); p.add_argument("--seed",type=int,default=0); p.add_argument("--dense");p.add_argument("--pruned")
a=p.parse_args()
os.environ["OMP_NUM_THREADS"]=str(a.threads); os.environ["OMP_WAIT_POLICY"]="PASSIVE"
from gluon_dc.training import *
from gluon_dc.data import load_mnist
kw={}
for s in a.set:
    k,v=s.split("=",1)
    try: v=json.loads(v)
    except Exception: pass
    kw[k]=v
s=settings_for(a.network,seed=a.seed,threads=a.threads,**kw)
r=run_pipeline(s,load_mnist(),a.out,dense=a.dense,pruned=a.pruned)
for st in r["stages"]:
    print(st["stage"],"kept",st["kept"],"bytes",st["nbytes"],"val %.2f"%st["validation_error_percent"],"test",st["test_error_percent"],"s %.1f"%st["seconds"])
print(r["file"],r["seconds"])
